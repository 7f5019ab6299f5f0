// What a stream is built from, as the command line says it: the options that commands share.
#pragma once

#include "pipeline/session.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace CLI {
class App;
}

namespace clearframe {

struct StreamOptions {
    std::string size = "1920x1080";
    std::vector<std::string> paths{"zero-copy", "staging"};
    std::string heap = "auto";
    std::string gpu = "auto";
    std::string nic = "emulated";
    std::uint32_t ring = 8;
    std::string verify = "sampled";
    std::string bounce = "nic";
    double pool_mib = 0; // 0: by swiotlb's rule
    std::uint32_t seed = 1;
    double timeout = 5; // seconds
    std::vector<std::string> require;
};

// Adds the options to the command; CLI11 writes what it parses into `options`.
void declare_stream_options(CLI::App& app, StreamOptions& options);

// The options in the program's own terms. Throws Error of usage.
SessionOptions make_session_options(const StreamOptions& options);

// Option name → JSON text, for the run's record.
std::map<std::string, std::string> stream_config(const StreamOptions& options,
                                                 const SessionOptions& session);

// For the options of one command alone; all throw Error of usage. -------------------------------

[[noreturn]] void refuse_option(std::string_view option, std::string_view value,
                                std::string_view expected);

// "1920x1080": width and height, each within its bounds; `like` is such a text.
using Sides = std::pair<std::uint32_t, std::uint32_t>;
Sides parse_sides(std::string_view option, const std::string& text, Sides least, Sides most,
                  std::string_view like);

// Times come as seconds, more than 0 and at most a day.
Nanoseconds parse_seconds(std::string_view option, double seconds);

template <typename T>
T known_value(std::optional<T> value, std::string_view option, std::string_view text,
              std::string_view expected) {
    if (!value)
        refuse_option(option, text, expected);
    return *value;
}
Scene parse_scene(std::string_view text);

} // namespace clearframe
