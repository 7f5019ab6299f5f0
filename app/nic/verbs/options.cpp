#include "nic/verbs/options.h"

#include "core/error.h"
#include "nic/verbs/greeting.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <vector>

namespace clearframe {
namespace {

[[noreturn]] void refuse(std::string_view part, std::string_view expected) {
    throw Error(Failure::usage, fmt::format("NIC verbs: option '{}' makes no sense", part), {},
                fmt::format("Expected {}", expected));
}

template <typename T>
T parse_number(std::string_view part, std::string_view value, T least, std::string_view expected) {
    T number{};
    const char* const end = value.data() + value.size();
    const auto [stop, error] = std::from_chars(value.data(), end, number);
    if (error != std::errc() || stop != end || number < least)
        refuse(part, expected);
    return number;
}

void parse_part(VerbsOptions& options, std::string_view part, std::string_view key,
                std::string_view value) {
    if (key == "device" && !value.empty()) {
        options.device = value;
    } else if (key == "port") {
        options.port = parse_number<std::uint8_t>(part, value, 1, "a port, from 1: port=1");
    } else if (key == "gid") {
        options.gid = parse_number<std::uint8_t>(part, value, 0, "an index, from 0: gid=3");
    } else if (key == "qps") {
        constexpr std::string_view numbers = "queue pairs, from 1 to 8: qps=2";
        options.queue_pairs = parse_number<std::uint8_t>(part, value, 1, numbers);
        if (options.queue_pairs > verbs::most_queue_pairs)
            refuse(part, numbers);
    } else if (key == "wait") {
        if (value != "poll" && value != "event")
            refuse(part, "wait=event or wait=poll");
        options.spin = value == "poll";
    } else if (key == "cq-moderation") {
        options.cq_moderation = parse_number<std::uint16_t>(
            part, value, 1, "completions for one event, from 1: cq-moderation=8");
    } else if (key == "mtu") {
        constexpr std::string_view sizes = "mtu=256, 512, 1024, 2048 or 4096";
        options.mtu = parse_number<std::uint32_t>(part, value, 256, sizes);
        if (options.mtu > 4096 || (options.mtu & (options.mtu - 1)) != 0)
            refuse(part, sizes);
    } else {
        refuse(part, "device, port, gid, qps, wait, cq-moderation, mtu, each with =VALUE");
    }
}

} // namespace

VerbsOptions parse_verbs_options(std::string_view text) {
    VerbsOptions options;
    std::vector<std::string_view> seen;
    while (!text.empty()) {
        const std::string_view part = text.substr(0, text.find(','));
        text.remove_prefix(std::min(part.size() + 1, text.size()));
        const std::size_t equals = part.find('=');
        const std::string_view key = part.substr(0, equals);
        if (std::find(seen.begin(), seen.end(), key) != seen.end())
            refuse(part, "each option once");
        seen.push_back(key);
        parse_part(options, part, key,
                   equals == part.npos ? std::string_view() : part.substr(equals + 1));
    }
    return options;
}

} // namespace clearframe
