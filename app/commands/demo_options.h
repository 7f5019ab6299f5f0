// What `clearframe demo` was asked to do.
#pragma once

#include "commands/stream_options.h"
#include "measure/snapshot.h"
#include "ui/display.h"

#include <optional>
#include <string>

namespace CLI {
class App;
}

namespace clearframe {

struct DemoOptions {
    StreamOptions stream;
    std::optional<std::string> scene; // empty: waves, or none where there is no GPU
    bool one_at_a_time = false;
    double fps = 30;
    std::string window = "1440x900";
    double scale = 0; // 0: the monitor's
    bool offscreen = false;
    std::optional<std::string> screenshot;
    std::optional<std::string> record;
    double after = 3; // seconds
    std::optional<std::string> replay;
    std::optional<std::string> save;
};

// Adds the options to the command; CLI11 writes what it parses into `options`.
void declare_demo_options(CLI::App& app, DemoOptions& options);

// The options in the program's own terms. Throws Error of usage.
struct DemoPlan {
    DemoSettings settings; // to begin with
    bool scene_by_name = false;
    DisplayOptions display;
    // When screenshot and record are made, after the stream has begun to run or failed to, and the
    // demo ends. 0: as soon as the picture is settled. Empty: it goes on until it is closed.
    std::optional<Nanoseconds> ends_after;
};
DemoPlan make_demo_plan(const DemoOptions& options);

} // namespace clearframe
