#include "commands/bench_options.h"

#include "pipeline/presenter.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace clearframe {
namespace {

void refuse_same_file(std::string_view option, const std::optional<std::string>& file,
                      std::string_view other, const std::optional<std::string>& taken) {
    if (file && file == taken)
        refuse_option(option, *file, fmt::format("another file than {} writes", other));
}

} // namespace

std::string parse_present(const std::string& text) {
    constexpr std::string_view kms = "kms";
    if (text == kms)
        return {};
    if (!text.starts_with("kms:") || text.size() == kms.size() + 1)
        refuse_option("--present", text, "kms or kms:CARD, like kms:card0 or kms:vkms");
    return text.substr(kms.size() + 1);
}

void declare_measure_options(CLI::App& app, BenchOptions& options) {
    declare_stream_options(app, options.stream);
    app.add_option("--scene", options.scenes,
                   "what is rendered, each measured on its own: none (the transport alone), "
                   "waves, test-card, noise [none,waves]")
        ->delimiter(',')
        ->option_text("LIST");
    auto* seconds = app.add_option("--seconds", options.seconds,
                                   "how long to measure, warm-up and all, shared by the scenes")
                        ->option_text("S [10]");
    app.add_option("--frames", options.frames, "instead: frames of each path and scene")
        ->option_text("N")
        ->excludes(seconds);
    app.add_option("--block", options.block,
                   "frames of one path before the next has its turn; by time, blocks are shorter "
                   "if need be, so that each path has twelve")
        ->option_text("N [250]");
    app.add_option("--warmup", options.warmup,
                   "frames of each path that are sent first and not counted; by time, at most a "
                   "tenth of it")
        ->option_text("N [500]");
    app.add_option("--json", options.json, "write the results there; - is standard output")
        ->option_text("FILE");
    app.add_option("--csv", options.csv, "write one line a block there; - is standard output")
        ->option_text("FILE");
    app.add_flag("--quiet", options.quiet, "print errors and what went wrong only");
}

void declare_bench_options(CLI::App& app, BenchOptions& options) {
    declare_measure_options(app, options);
    app.add_option("--capture", options.capture, "write the last frame received there")
        ->option_text("FILE.png");
    app.add_option("--present", options.present,
                   "show the received frames, in the buffers they came in: kms (the first screen "
                   "that can), or kms:card0, kms:DRIVER")
        ->option_text("WHERE");
}

BenchPlan make_bench_plan(const BenchOptions& options) {
    BenchPlan plan;
    plan.session = make_session_options(options.stream);
    plan.scenes_by_name = !options.scenes.empty();
    for (const std::string& name : options.scenes)
        plan.scenes.push_back(parse_scene(name));
    if (plan.scenes.empty())
        plan.scenes = {Scene::none, Scene::waves};

    refuse_same_file("--csv", options.csv, "--json", options.json);
    refuse_same_file("--capture", options.capture, "--json", options.json);
    refuse_same_file("--capture", options.capture, "--csv", options.csv);
    if (options.block < 2)
        refuse_option("--block", std::to_string(options.block), "at least 2 frames");
    plan.block = options.block;
    plan.warmup = options.warmup;
    plan.frames = options.frames;
    if (plan.frames == 1)
        refuse_option("--frames", "1", "at least 2: a rate needs two arrivals");
    if (plan.frames == 0)
        plan.duration = parse_seconds("--seconds", options.seconds) /
                        static_cast<Nanoseconds>(plan.scenes.size());
    if (options.present) {
        plan.screen = parse_present(*options.present);
        if (plan.session.ring < least_presented_ring)
            refuse_option("--ring", std::to_string(plan.session.ring),
                          fmt::format("at least {} slots with --present: one is on the screen, one "
                                      "waits for it, one travels",
                                      least_presented_ring));
    }
    return plan;
}

std::map<std::string, std::string> bench_config(const BenchOptions& options,
                                                const BenchPlan& plan) {
    using nlohmann::json;
    std::vector<std::string> scenes;
    for (const Scene scene : plan.scenes)
        scenes.emplace_back(scene_name(scene));
    const json config{
        {"scenes", scenes},
        {"seconds", plan.frames == 0 ? json(options.seconds) : json(nullptr)},
        {"frames", plan.frames == 0 ? json(nullptr) : json(plan.frames)},
        {"block", options.block},
        {"warmup", options.warmup},
        {"present", options.present ? json(*options.present) : json(nullptr)},
    };
    std::map<std::string, std::string> texts = stream_config(options.stream, plan.session);
    for (const auto& [name, value] : config.items())
        texts[name] = value.dump();
    return texts;
}

} // namespace clearframe
