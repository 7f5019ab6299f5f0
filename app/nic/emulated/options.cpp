#include "nic/emulated/options.h"

#include "core/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <span>
#include <vector>

namespace clearframe {
namespace {

constexpr std::array<std::string_view, nic_fault_count> fault_names = {
    "corrupt", "drop", "torn", "late", "wrong-length", "wrong-immediate", "error", "stall"};

struct Unit {
    std::string_view name;
    double factor;
};
constexpr Unit rate_units[] = {{"Mbps", 1e-3}, {"Gbps", 1}, {"Tbps", 1e3}};
constexpr Unit time_units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}};

constexpr std::string_view rate_form = "a rate from 1Mbps to 1000Tbps, such as rate=100Gbps";
constexpr std::string_view latency_form =
    "a time in ns, us or ms up to 1000ms, such as latency=5us";
constexpr std::string_view seed_form = "a whole number, such as seed=3";
constexpr std::string_view fault_form =
    "a probability from 0 to 1, or the number of a frame, such as {0}=0.01 or {0}=@17";

template <typename T>
std::optional<T> parse_number(std::string_view text) {
    T value{};
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || stop != end)
        return std::nullopt;
    return value;
}

// Any number from `low` to `high`: comparing this way round also refuses "nan".
std::optional<double> parse_real(std::string_view text, double low, double high) {
    const auto value = parse_number<double>(text);
    return value && *value >= low && *value <= high ? value : std::nullopt;
}

std::optional<double> parse_quantity(std::string_view text, std::span<const Unit> units, double low,
                                     double high) {
    for (const Unit& unit : units) {
        if (!text.ends_with(unit.name))
            continue;
        text.remove_suffix(unit.name.size());
        const auto value = parse_real(text, low / unit.factor, high / unit.factor);
        return value ? std::optional(*value * unit.factor) : std::nullopt;
    }
    return std::nullopt;
}

std::optional<FaultRule> parse_fault(std::string_view text) {
    FaultRule rule;
    if (text.starts_with('@')) {
        rule.at_frame = parse_number<std::uint64_t>(text.substr(1));
        return rule.at_frame ? std::optional(rule) : std::nullopt;
    }
    const auto probability = parse_real(text, 0, 1);
    if (!probability)
        return std::nullopt;
    rule.probability = *probability;
    return rule;
}

[[noreturn]] void refuse(std::string_view part, std::string_view expected) {
    throw Error(Failure::usage, fmt::format("NIC emulated: option '{}' makes no sense", part), {},
                fmt::format("Expected {}", expected));
}

void parse_part(EmulatedNicOptions& options, std::string_view part, std::string_view key,
                std::string_view value) {
    if (key == "rate") {
        const auto rate = parse_quantity(value, rate_units, 1e-3, 1e6);
        if (!rate)
            refuse(part, rate_form);
        options.gbits_per_s = *rate;
        return;
    }
    if (key == "latency") {
        const auto latency = parse_quantity(value, time_units, 0, 1e9);
        if (!latency)
            refuse(part, latency_form);
        options.latency_ns = std::llround(*latency);
        return;
    }
    if (key == "seed") {
        const auto seed = parse_number<std::uint64_t>(value);
        if (!seed)
            refuse(part, seed_form);
        options.seed = *seed;
        return;
    }
    const auto fault = std::find(fault_names.begin(), fault_names.end(), key);
    if (fault == fault_names.end())
        refuse(part, fmt::format("rate, latency, seed, {}, each with =VALUE",
                                 fmt::join(fault_names, ", ")));
    const auto rule = parse_fault(value);
    if (!rule)
        refuse(part, fmt::format(fmt::runtime(fault_form), key));
    options.faults[static_cast<std::size_t>(fault - fault_names.begin())] = *rule;
}

std::string latency_text(std::int64_t nanoseconds) {
    const auto value = static_cast<double>(nanoseconds);
    if (nanoseconds < 1'000)
        return fmt::format("{:g} ns", value);
    if (nanoseconds < 1'000'000)
        return fmt::format("{:g} us", value / 1e3);
    return fmt::format("{:g} ms", value / 1e6);
}

std::string fault_text(NicFault fault, const FaultRule& rule) {
    if (rule.at_frame)
        return fmt::format("{} at frame {}", nic_fault_name(fault), *rule.at_frame);
    return fmt::format("{} with probability {:g}", nic_fault_name(fault), rule.probability);
}

} // namespace

std::string_view nic_fault_name(NicFault fault) {
    return fault_names[static_cast<std::size_t>(fault)];
}

bool EmulatedNicOptions::has_faults() const {
    return std::any_of(faults.begin(), faults.end(),
                       [](const FaultRule& rule) { return rule.strikes_ever(); });
}

EmulatedNicOptions parse_emulated_options(std::string_view text) {
    EmulatedNicOptions options;
    std::vector<std::string_view> seen;
    bool more = !text.empty();
    while (more) {
        const std::size_t comma = text.find(',');
        const std::string_view part = text.substr(0, comma);
        more = comma != text.npos;
        text.remove_prefix(more ? comma + 1 : text.size());
        const std::size_t equals = part.find('=');
        const std::string_view key = part.substr(0, equals);
        if (std::find(seen.begin(), seen.end(), key) != seen.end())
            refuse(part, fmt::format("{} once", key));
        seen.push_back(key);
        parse_part(options, part, key, equals == part.npos ? "" : part.substr(equals + 1));
    }
    return options;
}

std::string describe(const EmulatedNicOptions& options) {
    std::string text = options.gbits_per_s > 0 ? fmt::format("{:g} Gb/s", options.gbits_per_s)
                                               : "as fast as memory allows";
    if (options.latency_ns > 0)
        text += fmt::format(", latency {}", latency_text(options.latency_ns));
    if (!options.has_faults())
        return text;
    std::string_view separator = ", faults: ";
    for (std::size_t i = 0; i < nic_fault_count; ++i)
        if (options.faults[i].strikes_ever()) {
            text += fmt::format("{}{}", separator,
                                fault_text(static_cast<NicFault>(i), options.faults[i]));
            separator = ", ";
        }
    return text;
}

} // namespace clearframe
