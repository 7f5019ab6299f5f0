#include "commands/bench_options.h"

#include "core/error.h"
#include "core/units.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <charconv>
#include <cmath>

namespace clearframe {
namespace {

[[noreturn]] void refuse(std::string_view option, std::string_view value,
                         std::string_view expected) {
    throw Error(Failure::usage, fmt::format("{} '{}' makes no sense", option, value), {},
                fmt::format("Expected {}", expected));
}

void parse_size(const std::string& text, SessionOptions& session) {
    const auto expected =
        fmt::format("WIDTHxHEIGHT in pixels, each from 1 to {}, like 1920x1080", max_frame_side);
    const char* end = text.data() + text.size();
    const auto width = std::from_chars(text.data(), end, session.width);
    if (width.ec != std::errc{} || width.ptr == end || *width.ptr != 'x')
        refuse("--size", text, expected);
    const auto height = std::from_chars(width.ptr + 1, end, session.height);
    if (height.ec != std::errc{} || height.ptr != end)
        refuse("--size", text, expected);
    const auto in_range = [](std::uint32_t side) { return side >= 1 && side <= max_frame_side; };
    if (!in_range(session.width) || !in_range(session.height))
        refuse("--size", text, expected);
}

std::string path_names() {
    std::string names;
    for (const PathType& type : path_types())
        names += fmt::format("{}{}", names.empty() ? "" : ", ", type.name);
    return names;
}

template <typename T>
T known(std::optional<T> value, std::string_view option, std::string_view text,
        std::string_view expected) {
    if (!value)
        refuse(option, text, expected);
    return *value;
}

// Times come as seconds and must fit what they are turned into.
Nanoseconds to_nanoseconds(std::string_view option, double seconds) {
    if (!std::isfinite(seconds) || seconds <= 0 || seconds > 86400)
        refuse(option, fmt::format("{}", seconds), "seconds, more than 0 and at most 86400");
    return static_cast<Nanoseconds>(seconds * 1e9);
}

void refuse_same_file(std::string_view option, const std::optional<std::string>& file,
                      std::string_view other, const std::optional<std::string>& taken) {
    if (file && file == taken)
        refuse(option, *file, fmt::format("another file than {} writes", other));
}

} // namespace

void declare_bench_options(CLI::App& app, BenchOptions& options) {
    app.add_option("--size", options.size, "frame size in pixels, up to 16384x16384")
        ->option_text("WxH [1920x1080]");
    app.add_option("--scene", options.scenes,
                   "what is rendered, each measured on its own: none (the transport alone), "
                   "waves, test-card, noise [none,waves]")
        ->delimiter(',')
        ->option_text("LIST");
    app.add_option("--paths", options.paths,
                   "what is compared: zero-copy, staging [zero-copy,staging]")
        ->delimiter(',')
        ->option_text("LIST");
    app.add_option("--heap", options.heap,
                   "where frame memory comes from: auto, system_cc_shared, system_cc_decrypted, "
                   "system, udmabuf, memfd")
        ->option_text("NAME [auto]");
    app.add_option("--gpu", options.gpu, "a device by name, part of it, or index; none; auto")
        ->option_text("NAME [auto]");
    app.add_option("--nic", options.nic,
                   "auto, or emulated[:rate=100Gbps,latency=5us,seed=1] and, for tests, faults: "
                   "corrupt, drop, torn, late, wrong-length, wrong-immediate, error, stall, each "
                   "=PROBABILITY or =@FRAME")
        ->option_text("NIC [emulated]");
    app.add_option("--ring", options.ring, "slots at each end, 1 to 256")->option_text("N [8]");
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
    app.add_option("--verify", options.verify,
                   "what the receiver checks of each frame: off, sampled (stamps and one pixel of "
                   "every 128 KiB), full (every pixel)")
        ->option_text("HOW [sampled]");
    app.add_option("--bounce", options.bounce,
                   "which devices the staging path copies for: nic, or both (the GPU too)")
        ->option_text("WHICH [nic]");
    app.add_option("--pool", options.pool_mib,
                   "MiB of the staging pool [as swiotlb: 6 % of memory, 64 to 1024]")
        ->option_text("MIB");
    app.add_option("--seed", options.seed, "of scenes and of the interval's resampling")
        ->option_text("N [1]");
    app.add_option("--timeout", options.timeout, "give up when nothing moves for so long")
        ->option_text("S [5]");
    app.add_option("--json", options.json, "write the results there; - is standard output")
        ->option_text("FILE");
    app.add_option("--csv", options.csv, "write one line a block there; - is standard output")
        ->option_text("FILE");
    app.add_option("--capture", options.capture, "write the last frame received there")
        ->option_text("FILE.png");
    app.add_option("--require", options.require,
                   "parts that must be real, not emulated: heap, gpu, nic")
        ->delimiter(',')
        ->option_text("LIST");
    app.add_flag("--quiet", options.quiet, "print errors and what went wrong only");
}

BenchPlan make_bench_plan(const BenchOptions& options) {
    BenchPlan plan;
    SessionOptions& session = plan.session;
    parse_size(options.size, session);
    if (options.ring < 1 || options.ring > max_slots)
        refuse("--ring", std::to_string(options.ring), fmt::format("1 to {} slots", max_slots));
    session.ring = options.ring;
    session.seed = options.seed;
    session.verify =
        known(verify_from_name(options.verify), "--verify", options.verify, "off, sampled or full");
    if (options.bounce != "nic" && options.bounce != "both")
        refuse("--bounce", options.bounce, "nic or both");
    session.bounce = options.bounce == "both" ? Bounce::both : Bounce::nic;
    if (!std::isfinite(options.pool_mib) || options.pool_mib < 0 || options.pool_mib > 65536)
        refuse("--pool", fmt::format("{}", options.pool_mib), "MiB, up to 65536");
    session.staging.pool_bytes = static_cast<std::size_t>(options.pool_mib * MiB);
    session.patience = to_nanoseconds("--timeout", options.timeout);
    for (const std::string& name : options.paths) {
        const PathType* type = find_path(name);
        if (!type)
            refuse("--paths", name, path_names());
        for (const PathType* other : session.paths)
            if (other == type)
                refuse("--paths", name, "each path once");
        session.paths.push_back(type);
    }
    if (session.paths.empty())
        refuse("--paths", "", path_names());

    plan.scenes_by_name = !options.scenes.empty();
    for (const std::string& name : options.scenes)
        plan.scenes.push_back(
            known(scene_from_name(name), "--scene", name, "none, waves, test-card or noise"));
    if (plan.scenes.empty())
        plan.scenes = {Scene::none, Scene::waves};

    for (const std::string& part : options.require)
        if (part != "heap" && part != "gpu" && part != "nic")
            refuse("--require", part, "heap, gpu or nic");

    refuse_same_file("--csv", options.csv, "--json", options.json);
    refuse_same_file("--capture", options.capture, "--json", options.json);
    refuse_same_file("--capture", options.capture, "--csv", options.csv);
    if (options.block < 2)
        refuse("--block", std::to_string(options.block), "at least 2 frames");
    plan.block = options.block;
    plan.warmup = options.warmup;
    plan.frames = options.frames;
    if (plan.frames == 1)
        refuse("--frames", "1", "at least 2: a rate needs two arrivals");
    if (plan.frames == 0)
        plan.duration = to_nanoseconds("--seconds", options.seconds) /
                        static_cast<Nanoseconds>(plan.scenes.size());
    return plan;
}

std::map<std::string, std::string> bench_config(const BenchOptions& options,
                                                const BenchPlan& plan) {
    using nlohmann::json;
    std::vector<std::string> scenes;
    for (const Scene scene : plan.scenes)
        scenes.emplace_back(scene_name(scene));
    const json config{
        {"size", {plan.session.width, plan.session.height}},
        {"scenes", scenes},
        {"paths", options.paths},
        {"heap", options.heap},
        {"gpu", options.gpu},
        {"nic", options.nic},
        {"ring", options.ring},
        {"seconds", plan.frames == 0 ? json(options.seconds) : json(nullptr)},
        {"frames", plan.frames == 0 ? json(nullptr) : json(plan.frames)},
        {"block", options.block},
        {"warmup", options.warmup},
        {"verify", options.verify},
        {"bounce", options.bounce},
        {"pool_bytes", plan.session.staging.pool_bytes},
        {"seed", options.seed},
        {"timeout_s", options.timeout},
        {"require", options.require},
    };
    std::map<std::string, std::string> texts;
    for (const auto& [name, value] : config.items())
        texts[name] = value.dump();
    return texts;
}

} // namespace clearframe
