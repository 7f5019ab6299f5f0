// What `clearframe bench` was asked to do.
#pragma once

#include "commands/stream_options.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace clearframe {

struct BenchOptions {
    StreamOptions stream;
    std::vector<std::string> scenes; // empty: none and waves, as far as there is a GPU
    double seconds = 10;
    std::uint64_t frames = 0; // 0: by time
    std::uint64_t block = 250;
    std::uint64_t warmup = 500;
    std::optional<std::string> json;
    std::optional<std::string> csv;
    std::optional<std::string> capture;
    std::optional<std::string> present;
    bool quiet = false;
};

// Adds the options to the command; CLI11 writes what it parses into `options`. The first ones are
// those of every measurement, wherever its receiver is.
void declare_measure_options(CLI::App& app, BenchOptions& options);
void declare_bench_options(CLI::App& app, BenchOptions& options);

// The options in the program's own terms. Throws Error of usage.
struct BenchPlan {
    SessionOptions session;
    std::vector<Scene> scenes;
    bool scenes_by_name = false; // then a scene that cannot be had is an error
    Nanoseconds duration = 0;    // of a scene, with warm-up and limits; 0: by frames
    std::uint64_t frames = 0;    // of each path and scene; 0: by time
    std::uint64_t block = 0;
    std::uint64_t warmup = 0;
    std::optional<std::string> screen; // to show frames on, as resolve_screen() takes it
};
BenchPlan make_bench_plan(const BenchOptions& options);

// What "kms" or "kms:CARD" names, which is nothing for the best. Throws Error of usage.
std::string parse_present(const std::string& text);

// Option name → JSON text, for the run's record.
std::map<std::string, std::string> bench_config(const BenchOptions& options, const BenchPlan& plan);

} // namespace clearframe
