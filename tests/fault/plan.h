// Which calls are to fail, as an environment variable says it: "CALL:N:VALUE,…" makes the Nth call
// (from 1) of CALL give VALUE, "CALL:N+:VALUE" that one and all later ones.
#pragma once

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>

namespace clearframe::faults {

[[noreturn]] inline void refuse(const char* variable, std::string_view entry) {
    std::fprintf(stderr, "%s: cannot make sense of '%.*s'\n", variable,
                 static_cast<int>(entry.size()), entry.data());
    std::_Exit(99);
}

// The calls that can be made to fail, their numbers so far, and the plan for them. Constant
// initialised: works before any constructor has run. Thread-safe once read.
template <std::size_t size>
class Plan {
public:
    explicit constexpr Plan(const std::array<std::string_view, size>& names) : names_(names) {}

    // Ends the process when the variable's text makes no sense: a test of nothing must not pass.
    void read(const char* variable, std::optional<int> (*value_of)(std::string_view)) {
        const char* text = std::getenv(variable);
        std::string_view rest = text ? text : "";
        while (!rest.empty()) {
            const std::string_view entry = rest.substr(0, rest.find(','));
            rest.remove_prefix(std::min(entry.size() + 1, rest.size()));
            if (!add(entry, value_of))
                refuse(variable, entry);
        }
    }

    // Counts a call; the value that it must give if it is to fail.
    std::optional<int> next(std::size_t call) {
        const unsigned long number = ++calls_[call];
        for (std::size_t i = 0; i < faults_count_; ++i) {
            const Fault& fault = faults_[i];
            if (fault.call == call &&
                (number == fault.number || (fault.and_later && number > fault.number))) {
                ++failed_[call];
                return fault.value;
            }
        }
        return std::nullopt;
    }

    // Writes a line "CALL CALLS FAILED" for each call that has been made to the file that the
    // variable names.
    void report(const char* variable) const {
        const char* path = std::getenv(variable);
        std::FILE* file = path ? std::fopen(path, "w") : nullptr;
        if (!file)
            return;
        for (std::size_t i = 0; i < size; ++i)
            if (calls_[i] > 0)
                std::fprintf(file, "%.*s %lu %lu\n", static_cast<int>(names_[i].size()),
                             names_[i].data(), calls_[i].load(), failed_[i].load());
        std::fclose(file);
    }

private:
    struct Fault {
        std::size_t call = 0;
        unsigned long number = 0;
        bool and_later = false;
        int value = 0;
    };

    bool add(std::string_view entry, std::optional<int> (*value_of)(std::string_view)) {
        const auto first = entry.find(':');
        const auto second = entry.find(':', first + 1);
        if (first == entry.npos || second == entry.npos || faults_count_ == faults_.size())
            return false;
        Fault fault;
        while (fault.call < size && names_[fault.call] != entry.substr(0, first))
            ++fault.call;
        std::string_view number = entry.substr(first + 1, second - first - 1);
        fault.and_later = number.ends_with('+');
        number.remove_suffix(fault.and_later);
        for (const char digit : number) {
            if (digit < '0' || digit > '9')
                return false;
            fault.number = fault.number * 10 + static_cast<unsigned long>(digit - '0');
        }
        const auto value = value_of(entry.substr(second + 1));
        if (fault.call == size || fault.number == 0 || !value)
            return false;
        fault.value = *value;
        faults_[faults_count_++] = fault;
        return true;
    }

    std::array<std::string_view, size> names_;
    std::array<std::atomic<unsigned long>, size> calls_{};
    std::array<std::atomic<unsigned long>, size> failed_{};
    std::array<Fault, 16> faults_{};
    std::size_t faults_count_ = 0;
};

} // namespace clearframe::faults
