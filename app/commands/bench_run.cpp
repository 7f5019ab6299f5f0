#include "commands/bench_run.h"

#include "core/units.h"

#include <fmt/format.h>

#include <algorithm>

namespace clearframe {
namespace {

constexpr Nanoseconds ms = 1'000'000;

// When the run goes by time, a scene's time holds all that is done for it. A block of every path
// has a sixteenth of it: beside warm-up and limits there is room for twelve, enough pairs for an
// interval.
constexpr int round_part = 16;
constexpr int warmup_part = 10; // of a scene's time, by which the warm-up of all paths has ended
constexpr int limits_part = 10; // of a round's time, spent on each of the limits

// Running time that the throughput meters have room for.
constexpr Nanoseconds longest_by_frames = 3'600'000 * ms;

} // namespace

BenchRun::BenchRun(const BenchPlan& plan) : plan_(plan), warmup_received_(0) {
    const Nanoseconds longest = plan.duration > 0 ? 2 * plan.duration : longest_by_frames;
    for (const Scene scene : plan.scenes) {
        SceneRun run{.scene = scene};
        for (const PathType* type : plan.session.paths)
            run.paths.emplace_back(*type, longest);
        scenes_.push_back(std::move(run));
    }
}

void BenchRun::run(Stream& stream) {
    LimitProbe limits = stream.make_limit_probe();
    for (SceneRun& scene : scenes_) {
        stream.set_scene(scene.scene);
        if (stream.stopped())
            break;
        run_scene(stream, scene, limits);
    }
    limits_ = limits.result();
}

void BenchRun::run_scene(Stream& stream, SceneRun& scene, LimitProbe& limits) {
    const Nanoseconds start = now();
    set_progress(scene, 0);
    warm_up(stream);
    for (std::size_t i = 0; i < scene.paths.size(); ++i)
        scene.paths[i].same_buffer = stream.same_buffer(i);

    std::uint64_t frames = 0; // sent along each path, at most
    const auto done = [&] {
        return plan_.duration > 0
                   ? static_cast<double>(now() - start) / static_cast<double>(plan_.duration)
                   : static_cast<double>(frames) / static_cast<double>(plan_.frames);
    };
    // One round at least, however slow the warm-up was.
    while (!stream.stopped() && (frames == 0 || done() < 1)) {
        const std::uint64_t round_frames =
            plan_.duration > 0 ? plan_.block : std::min(plan_.block, plan_.frames - frames);
        const Nanoseconds round_start = now();
        run_round(stream, scene, round_frames);
        frames += round_frames;
        limits.measure(std::clamp((now() - round_start) / limits_part, 2 * ms, 50 * ms));
        set_progress(scene, done());
    }
}

// A block of every path, one after the other.
void BenchRun::run_round(Stream& stream, SceneRun& scene, std::uint64_t frames) {
    for (std::size_t i = 0; i < scene.paths.size() && !stream.stopped(); ++i) {
        PathRun& path = scene.paths[i];
        stream.run_block(i,
                         {.frames = frames, .until = now() + time_for(plan_.duration / round_part)},
                         *path.sent, *path.received);
        path.add_block(next_block_index_++);
    }
}

void BenchRun::warm_up(Stream& stream) {
    for (std::size_t i = 0; i < plan_.session.paths.size() && !stream.stopped(); ++i)
        stream.run_block(
            i, {.frames = plan_.warmup, .until = now() + time_for(plan_.duration / warmup_part)},
            warmup_sent_, warmup_received_);
}

// One path's share of a part of a scene's time; as good as no limit where frames are counted.
Nanoseconds BenchRun::time_for(Nanoseconds part) const {
    return plan_.duration > 0 ? part / static_cast<Nanoseconds>(plan_.session.paths.size())
                              : longest_by_frames;
}

void BenchRun::set_progress(const SceneRun& scene, double done) {
    const auto index = static_cast<double>(&scene - scenes_.data());
    Progress progress{.fraction =
                          (index + std::min(done, 1.0)) / static_cast<double>(scenes_.size()),
                      .text = fmt::format("{}:", scene_name(scene.scene))};
    for (const PathRun& path : scene.paths) {
        const double rate = path.received->throughput.total().gbytes_per_s();
        progress.text += rate > 0 ? fmt::format(" {} {} GB/s", path.type->name, rate_text(rate))
                                  : fmt::format(" {} …", path.type->name);
    }
    const std::lock_guard lock(mutex_);
    progress_ = std::move(progress);
}

BenchRun::Progress BenchRun::progress() const {
    const std::lock_guard lock(mutex_);
    return progress_;
}

std::vector<SceneRecord> scene_records(const BenchRun& run, std::uint32_t seed) {
    std::vector<SceneRecord> records;
    for (const SceneRun& scene : run.scenes()) {
        SceneRecord record{.scene = std::string(scene_name(scene.scene))};
        for (const PathRun& path : scene.paths)
            record.paths.push_back(path_record(path));
        record.comparison = compare(scene.paths, seed);
        records.push_back(std::move(record));
    }
    return records;
}

} // namespace clearframe
