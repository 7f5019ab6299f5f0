// Reading JSON that may hold anything. Inside measure/ only.
#pragma once

#include "core/error.h"
#include "measure/json_parts.h"

#include <fmt/format.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace clearframe {

// One value of a text that is read, and where it stands, for messages: "paths[1].latency_us". Each
// way of reading it throws Error of usage, with that place, for a value of another kind. Valid as
// long as the text's JSON, its name and the advice.
class JsonValue {
public:
    // The whole text. `name` says whose it is, `advice` what to do about one that is wrong.
    JsonValue(const Json& json, std::string_view name, std::string_view advice)
        : JsonValue(json, name, advice, "") {}

    // A member of an object, which must be there.
    JsonValue operator[](const char* member) const {
        const std::optional<JsonValue> found = find(member);
        if (!found)
            refuse(place_of(member), "is missing");
        return *found;
    }
    // A member that need not be there.
    std::optional<JsonValue> find(const char* member) const {
        require(json_.is_object(), "an object");
        const auto found = json_.find(member);
        if (found == json_.end())
            return std::nullopt;
        return JsonValue(*found, name_, advice_, place_of(member));
    }
    std::vector<JsonValue> elements(std::size_t most) const {
        require(json_.is_array() && json_.size() <= most,
                fmt::format("a list of at most {}", most));
        std::vector<JsonValue> values;
        for (std::size_t i = 0; i < json_.size(); ++i)
            values.push_back({json_[i], name_, advice_, fmt::format("{}[{}]", where_, i)});
        return values;
    }
    std::vector<std::pair<std::string, JsonValue>> members(std::size_t most) const {
        require(json_.is_object() && json_.size() <= most,
                fmt::format("an object of at most {}", most));
        std::vector<std::pair<std::string, JsonValue>> values;
        for (const auto& [key, value] : json_.items())
            values.emplace_back(key, JsonValue(value, name_, advice_, where_ + "." + key));
        return values;
    }

    bool is_null() const { return json_.is_null(); }
    bool flag() const {
        require(json_.is_boolean(), "true or false");
        return json_.get<bool>();
    }
    std::string text() const {
        require(json_.is_string() && json_.get_ref<const std::string&>().size() <= 4096,
                "text of at most 4096 bytes");
        return json_.get<std::string>();
    }
    std::vector<std::string> texts() const {
        std::vector<std::string> result;
        for (const JsonValue& value : elements(64))
            result.push_back(value.text());
        return result;
    }
    std::uint64_t count(std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) const {
        require(json_.is_number_unsigned() && json_.get<std::uint64_t>() <= most,
                fmt::format("a whole number, at most {}", most));
        return json_.get<std::uint64_t>();
    }
    std::uint32_t count32(std::uint32_t most = std::numeric_limits<std::uint32_t>::max()) const {
        return static_cast<std::uint32_t>(count(most));
    }
    // Not negative; what was unknown or not finite was written as null.
    double real(double if_null = 0) const {
        if (json_.is_null())
            return if_null;
        require(json_.is_number() && json_.get<double>() >= 0 && std::isfinite(json_.get<double>()),
                "a number, not negative");
        return json_.get<double>();
    }

    void require(bool good, std::string_view expected) const {
        if (!good)
            refuse(where_.empty() ? "the whole" : where_, fmt::format("must be {}", expected));
    }

private:
    JsonValue(const Json& json, std::string_view name, std::string_view advice, std::string where)
        : json_(json), name_(name), advice_(advice), where_(std::move(where)) {}

    std::string place_of(const char* member) const {
        return where_.empty() ? member : where_ + "." + member;
    }
    [[noreturn]] void refuse(std::string_view where, std::string_view how) const {
        throw Error(Failure::usage, fmt::format("{}: {} {}", name_, where, how), {}, advice_);
    }

    const Json& json_;
    std::string_view name_;
    std::string_view advice_;
    std::string where_;
};

// The whole text as JSON of that schema. `name` and `advice` as above. Throws Error of usage.
inline Json parse_json(std::string_view text, std::string_view name, std::string_view advice,
                       std::string_view schema) {
    Json parsed;
    try {
        parsed = Json::parse(text);
    } catch (const Json::exception& error) {
        throw Error(Failure::usage, fmt::format("{} is not JSON", name), error.what(), advice);
    }
    const JsonValue found = JsonValue(parsed, name, advice)["schema"];
    found.require(found.text() == schema, fmt::format("{}, not {}", schema, found.text()));
    return parsed;
}

} // namespace clearframe
