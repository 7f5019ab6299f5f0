#include "commands/demo_options.h"

#include "commands/live_run.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace clearframe {
namespace {

// Less has no room for the panel; more is no picture that a device can make.
constexpr std::uint32_t least_width = 1280, least_height = 720;
constexpr std::uint32_t most_pixels = 16384;

// A number from `low` to `high`: comparing this way round also refuses "nan".
double parse_real(std::string_view option, double value, double low, double high,
                  std::string_view unit) {
    if (!(value >= low && value <= high))
        refuse_option(option, fmt::format("{}", value),
                      fmt::format("{}, from {} to {}", unit, low, high));
    return value;
}

DisplayOptions make_display_options(const DemoOptions& options) {
    DisplayOptions display{.window = !options.offscreen};
    std::tie(display.width, display.height) =
        parse_sides("--size-window", options.window, {least_width, least_height},
                    {most_pixels, most_pixels}, "1440x900");
    if (options.scale != 0)
        display.scale = parse_real("--scale", options.scale, 0.5, 4, "pixels a unit");
    const double scale = std::max(display.scale, 1.0);
    if (std::max(display.width, display.height) * scale > most_pixels)
        refuse_option("--size-window", options.window,
                      fmt::format("at most {} pixels a side, after --scale", most_pixels));
    display.frames_per_s = parse_real("--fps", options.fps, 1, 1000, "frames a second");
    return display;
}

} // namespace

void declare_demo_options(CLI::App& app, DemoOptions& options) {
    declare_stream_options(app, options.stream);
    app.add_option("--scene", options.scene,
                   "what is rendered: none (the transport alone), waves, test-card, noise")
        ->option_text("NAME [waves]");
    app.add_flag("--one-at-a-time", options.one_at_a_time,
                 "give each path some seconds, not blocks in turn");
    const std::vector<CLI::Option*> of_the_stream = app.get_options([](const CLI::Option* option) {
        const std::string name = option->get_name();
        return name != "--help" && name != "--gpu"; // which also says what draws
    });
    app.add_option("--fps", options.fps, "frames that the window draws a second, at most")
        ->option_text("N [30]");
    app.add_option("--size-window", options.window,
                   "size of the window, in pixels of a monitor of scale 1; from 1280x720")
        ->option_text("WxH [1440x900]");
    app.add_option("--scale", options.scale,
                   "pixels for each of them, 0.5 to 4 [the monitor's; 1 without a window]")
        ->option_text("X");
    app.add_flag("--offscreen", options.offscreen,
                 "draw the same without a window, for --screenshot or --record");
    app.add_option("--screenshot", options.screenshot,
                   "write a picture of the window there after --after seconds, and end")
        ->option_text("FILE.png");
    app.add_option("--record", options.record,
                   "write what the window shows there, for --replay, after --after seconds, and "
                   "end")
        ->option_text("STATE.json");
    auto* after = app.add_option("--after", options.after, "when to do so, since the stream runs")
                      ->option_text("S [3]");
    auto* replay = app.add_option("--replay", options.replay,
                                  "draw what was recorded, and measure nothing: the same picture "
                                  "every time")
                       ->option_text("STATE.json");
    app.add_option("--save", options.save,
                   "where the keys S and F12 save results and pictures: a directory, or a file's "
                   "name without its ending")
        ->option_text("DIR|NAME [.]");
    replay->excludes(after);
    for (CLI::Option* option : of_the_stream)
        replay->excludes(option);
    app.footer("Every control of the window has a key; F1 shows them. The first Ctrl-C ends it as "
               "its close button does.");
}

DemoPlan make_demo_plan(const DemoOptions& options) {
    const SessionOptions session = make_session_options(options.stream);
    if (session.ring < 2)
        refuse_option(
            "--ring", std::to_string(session.ring),
            fmt::format("2 to {} slots: one is looked at while another is written", max_slots));
    DemoPlan plan;
    plan.settings = {.paths = options.stream.paths,
                     .interleaved = !options.one_at_a_time,
                     .width = session.width,
                     .height = session.height,
                     .verify = options.stream.verify,
                     .ring = session.ring,
                     .nic_gbits_per_s = nic_rate(options.stream.nic)};
    plan.scene_by_name = options.scene.has_value();
    if (options.scene)
        plan.settings.scene = scene_name(parse_scene(*options.scene));
    plan.display = make_display_options(options);
    const bool makes_files = options.screenshot || options.record;
    if (options.offscreen && !makes_files)
        throw Error(Failure::usage, "--offscreen alone would show nothing to anybody", {},
                    "Add --screenshot or --record");
    if (options.screenshot == "-" && options.record == "-")
        refuse_option("--record", "-", "a file: standard output is taken by --screenshot");
    if (makes_files)
        plan.ends_after = options.replay ? 0 : parse_seconds("--after", options.after);
    return plan;
}

} // namespace clearframe
