#include "commands/bench_run.h"

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

double microseconds(Nanoseconds time) { return static_cast<double>(time) / 1e3; }

} // namespace

BenchRun::BenchRun(const BenchPlan& plan) : plan_(plan), warmup_received_(0) {
    const Nanoseconds longest = plan.duration > 0 ? 2 * plan.duration : longest_by_frames;
    for (const Scene scene : plan.scenes) {
        SceneRun run{.scene = scene};
        for (const PathType* type : plan.session.paths) {
            PathRun& path = run.paths.emplace_back();
            path.type = type;
            path.sent = std::make_unique<SendMeter>();
            path.received = std::make_unique<ReceiveMeter>(longest);
        }
        scenes_.push_back(std::move(run));
    }
}

void BenchRun::run(Session& session) {
    LimitProbe limits = session.make_limit_probe();
    for (SceneRun& scene : scenes_) {
        session.set_scene(scene.scene);
        if (session.stopped())
            break;
        run_scene(session, scene, limits);
    }
    limits_ = limits.result();
}

void BenchRun::run_scene(Session& session, SceneRun& scene, LimitProbe& limits) {
    const Nanoseconds start = now();
    set_progress(scene, 0);
    warm_up(session);
    for (std::size_t i = 0; i < scene.paths.size(); ++i)
        scene.paths[i].same_buffer = session.same_buffer(i);

    std::uint64_t frames = 0; // sent along each path, at most
    const auto done = [&] {
        return plan_.duration > 0
                   ? static_cast<double>(now() - start) / static_cast<double>(plan_.duration)
                   : static_cast<double>(frames) / static_cast<double>(plan_.frames);
    };
    // One round at least, however slow the warm-up was.
    while (!session.stopped() && (frames == 0 || done() < 1)) {
        const std::uint64_t round_frames =
            plan_.duration > 0 ? plan_.block : std::min(plan_.block, plan_.frames - frames);
        const Nanoseconds round_start = now();
        run_round(session, scene, round_frames);
        frames += round_frames;
        limits.measure(std::clamp((now() - round_start) / limits_part, 2 * ms, 50 * ms));
        set_progress(scene, done());
    }
}

// A block of every path, one after the other.
void BenchRun::run_round(Session& session, SceneRun& scene, std::uint64_t frames) {
    for (std::size_t i = 0; i < scene.paths.size() && !session.stopped(); ++i) {
        PathRun& path = scene.paths[i];
        session.run_block(
            i, {.frames = frames, .until = now() + time_for(plan_.duration / round_part)},
            *path.sent, *path.received);
        const ThroughputMeter::Totals block = path.received->throughput.block();
        path.blocks.push_back({.index = next_block_index_++,
                               .frames = block.frames,
                               .seconds = static_cast<double>(block.time) / 1e9,
                               .gbytes_per_s = block.gbytes_per_s()});
    }
}

void BenchRun::warm_up(Session& session) {
    for (std::size_t i = 0; i < plan_.session.paths.size() && !session.stopped(); ++i)
        session.run_block(
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
        progress.text += rate > 0 ? fmt::format(" {} {:.2f} GB/s", path.type->name, rate)
                                  : fmt::format(" {} …", path.type->name);
    }
    const std::lock_guard lock(mutex_);
    progress_ = std::move(progress);
}

BenchRun::Progress BenchRun::progress() const {
    const std::lock_guard lock(mutex_);
    return progress_;
}

namespace {

Quantiles quantiles(const Histogram& histogram) {
    return {.p50 = microseconds(histogram.quantile(0.5)),
            .p99 = microseconds(histogram.quantile(0.99)),
            .p99_9 = microseconds(histogram.quantile(0.999)),
            .max = microseconds(histogram.max())};
}

std::map<std::string, double> stages(const SendMeter& sent, const ReceiveMeter& received) {
    std::map<std::string, double> medians;
    const auto add = [&](const char* name, const Histogram& histogram) {
        if (histogram.count() > 0)
            medians[name] = microseconds(histogram.quantile(0.5));
    };
    add("render", sent.render);
    add("copy", sent.copy);
    add("post", sent.post);
    add("wire", sent.wire);
    add("copy_out", received.copy_out);
    add("verify", received.verify);
    return medians;
}

PathRecord path_record(const PathRun& run) {
    const SendMeter& sent = *run.sent;
    const ReceiveMeter& received = *run.received;
    const ThroughputMeter::Totals total = received.throughput.total();
    const ThroughputMeter::Floor floor = received.throughput.floor();
    PathRecord record;
    record.path = run.type->name;
    record.frames = sent.frames.get();
    record.lost = received.lost.get();
    record.corrupt = received.corrupt.get();
    record.rejected = received.rejected.get();
    record.verified_pixels = received.verified_pixels.get();
    record.mean_gbytes_per_s = total.gbytes_per_s();
    record.min_gbytes_per_s = floor.min;
    record.p5_gbytes_per_s = floor.p5;
    record.frames_per_s = total.frames_per_s();
    record.latency_us = quantiles(received.latency);
    record.stages_us = stages(sent, received);
    record.cpu_copied_bytes = sent.copied_bytes.get() + received.copied_bytes.get();
    record.pool_waits = sent.pool_waits.get();
    record.same_buffer = run.same_buffer;
    record.blocks = run.blocks;

    const auto copy_ns = static_cast<double>(sent.cpu_copy_ns.get() + received.cpu_copy_ns.get());
    const auto own_ns =
        static_cast<double>(sent.cpu_ns.get() - sent.cpu_gpu_ns.get() + received.cpu_ns.get()) -
        copy_ns;
    if (sent.bytes.get() > 0)
        record.cpu_ms_per_gbyte =
            (copy_ns + own_ns) / 1e6 / (static_cast<double>(sent.bytes.get()) / 1e9);
    if (record.frames > 0)
        record.cpu_us_per_frame_own = own_ns / 1e3 / static_cast<double>(record.frames);
    if (copy_ns > 0)
        record.copy_gbytes_per_s = static_cast<double>(record.cpu_copied_bytes) / copy_ns;
    return record;
}

// Blocks that ran one after the other, where both moved frames.
std::vector<BlockPair> pairs(const PathRun& candidate, const PathRun& baseline) {
    std::vector<BlockPair> result;
    const std::size_t count = std::min(candidate.blocks.size(), baseline.blocks.size());
    for (std::size_t i = 0; i < count; ++i) {
        const BlockRecord& a = candidate.blocks[i];
        const BlockRecord& b = baseline.blocks[i];
        if (a.frames > 0 && b.frames > 0)
            result.push_back({.candidate = {static_cast<double>(a.frames), a.seconds},
                              .baseline = {static_cast<double>(b.frames), b.seconds}});
    }
    return result;
}

std::optional<Comparison> comparison(const SceneRun& scene, std::uint32_t seed) {
    const auto is_baseline = [](const PathRun& path) { return path.type->name == baseline_path; };
    const auto baseline = std::find_if(scene.paths.begin(), scene.paths.end(), is_baseline);
    if (baseline == scene.paths.end())
        return std::nullopt;
    Comparison result{.baseline = std::string(baseline_path)};
    for (const PathRun& path : scene.paths) {
        if (is_baseline(path))
            continue;
        const std::vector<BlockPair> both = pairs(path, *baseline);
        if (!both.empty())
            result.paths[std::string(path.type->name)] = ratio_interval(both, seed);
    }
    return result.paths.empty() ? std::nullopt : std::optional(result);
}

} // namespace

std::vector<SceneRecord> scene_records(const BenchRun& run, std::uint32_t seed) {
    std::vector<SceneRecord> records;
    for (const SceneRun& scene : run.scenes()) {
        SceneRecord record{.scene = std::string(scene_name(scene.scene))};
        for (const PathRun& path : scene.paths)
            record.paths.push_back(path_record(path));
        record.comparison = comparison(scene, seed);
        records.push_back(std::move(record));
    }
    return records;
}

} // namespace clearframe
