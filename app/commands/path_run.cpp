#include "commands/path_run.h"

#include <algorithm>
#include <vector>

namespace clearframe {
namespace {

double microseconds(Nanoseconds time) { return static_cast<double>(time) / 1e3; }

void add_median(std::map<std::string, double>& medians, const char* name,
                const Histogram& histogram) {
    if (histogram.count() > 0)
        medians[name] = microseconds(histogram.quantile(0.5));
}

// Of both threads, outside the GPU's driver.
struct CpuTime {
    double copy_ns = 0; // in copies
    double own_ns = 0;  // the rest
};
CpuTime cpu_time(const PathRun& run) {
    const SendMeter& sent = *run.sent;
    const ReceiveMeter& received = *run.received;
    CpuTime time;
    time.copy_ns = static_cast<double>(sent.cpu_copy_ns.get() + received.cpu_copy_ns.get());
    time.own_ns =
        static_cast<double>(sent.cpu_ns.get() - sent.cpu_gpu_ns.get() + received.cpu_ns.get()) -
        time.copy_ns;
    return time;
}

// Pairs of the last blocks of two paths.
std::vector<BlockPair> pairs(const PathRun& candidate, const PathRun& baseline, std::size_t most) {
    std::vector<BlockPair> result;
    const auto end = [](const PathRun& run) { return run.forgotten + run.blocks.size(); };
    std::uint64_t i = std::max(candidate.forgotten, baseline.forgotten);
    const std::uint64_t count = std::min(end(candidate), end(baseline));
    if (count > i && count - i > most)
        i = count - most;
    for (; i < count; ++i) {
        const BlockRecord& a = candidate.blocks[i - candidate.forgotten];
        const BlockRecord& b = baseline.blocks[i - baseline.forgotten];
        if (a.frames > 0 && b.frames > 0)
            result.push_back({.candidate = {static_cast<double>(a.frames), a.seconds},
                              .baseline = {static_cast<double>(b.frames), b.seconds}});
    }
    return result;
}

} // namespace

PathRun::PathRun(const PathType& path_type, Nanoseconds longest)
    : type(&path_type),
      sent(std::make_shared<SendMeter>()),
      received(std::make_shared<ReceiveMeter>(longest)) {}

void PathRun::add_block(std::uint32_t index, std::size_t most_blocks) {
    const ThroughputMeter::Totals block = received->throughput.block();
    blocks.push_back({.index = index,
                      .frames = block.frames,
                      .seconds = static_cast<double>(block.time) / 1e9,
                      .gbytes_per_s = block.gbytes_per_s()});
    if (blocks.size() > most_blocks) {
        blocks.pop_front();
        ++forgotten;
    }
}

Quantiles quantiles(const Histogram& histogram) {
    return {.p50 = microseconds(histogram.quantile(0.5)),
            .p99 = microseconds(histogram.quantile(0.99)),
            .p99_9 = microseconds(histogram.quantile(0.999)),
            .max = microseconds(histogram.max())};
}

std::map<std::string, double> stages(const PathRun& run) {
    const SendMeter& sent = *run.sent;
    std::map<std::string, double> medians = receive_stages(*run.received);
    add_median(medians, "render", sent.render);
    add_median(medians, "copy", sent.copy);
    add_median(medians, "post", sent.post);
    add_median(medians, "wire", sent.wire);
    return medians;
}

std::map<std::string, double> receive_stages(const ReceiveMeter& received) {
    std::map<std::string, double> medians;
    add_median(medians, "copy_out", received.copy_out);
    add_median(medians, "verify", received.verify);
    return medians;
}

double cpu_ms_per_gbyte(const PathRun& run) {
    const double bytes = static_cast<double>(run.sent->bytes.get());
    const CpuTime cpu = cpu_time(run);
    return bytes > 0 ? (cpu.copy_ns + cpu.own_ns) / 1e6 / (bytes / 1e9) : 0;
}

double cpu_ms_per_gbyte(const ReceiveMeter& received, std::uint64_t frame_bytes) {
    const double bytes =
        static_cast<double>(received.frames.get()) * static_cast<double>(frame_bytes);
    return bytes > 0 ? static_cast<double>(received.cpu_ns.get()) / 1e6 / (bytes / 1e9) : 0;
}

PathRecord received_record(const ReceiveMeter& received) {
    const ThroughputMeter::Totals total = received.throughput.total();
    const ThroughputMeter::Floor floor = received.throughput.floor();
    PathRecord record;
    record.lost = received.lost.get();
    record.corrupt = received.corrupt.get();
    record.rejected = received.rejected.get();
    record.verified_pixels = received.verified_pixels.get();
    record.mean_gbytes_per_s = total.gbytes_per_s();
    record.min_gbytes_per_s = floor.min;
    record.p5_gbytes_per_s = floor.p5;
    record.frames_per_s = total.frames_per_s();
    record.latency_us = quantiles(received.latency);
    record.stages_us = receive_stages(received);
    record.cpu_copied_bytes = received.copied_bytes.get();
    return record;
}

void set_cpu(PathRecord& record, double copy_ns, double own_ns) {
    if (record.frames > 0)
        record.cpu_us_per_frame_own = own_ns / 1e3 / static_cast<double>(record.frames);
    if (copy_ns > 0)
        record.copy_gbytes_per_s = static_cast<double>(record.cpu_copied_bytes) / copy_ns;
}

PathRecord path_record(const PathRun& run) {
    const SendMeter& sent = *run.sent;
    PathRecord record = received_record(*run.received);
    record.path = run.type->name;
    record.frames = sent.frames.get();
    record.stages_us = stages(run);
    record.cpu_copied_bytes += sent.copied_bytes.get();
    record.pool_waits = sent.pool_waits.get();
    record.same_buffer = run.same_buffer;
    record.blocks.assign(run.blocks.begin(), run.blocks.end());
    record.cpu_ms_per_gbyte = cpu_ms_per_gbyte(run);
    const CpuTime cpu = cpu_time(run);
    set_cpu(record, cpu.copy_ns, cpu.own_ns);
    return record;
}

std::optional<Comparison> compare(std::span<const PathRun> paths, std::uint64_t seed,
                                  std::uint32_t resamples, std::size_t most_pairs) {
    const auto is_baseline = [](const PathRun& path) { return path.type->name == baseline_path; };
    const auto baseline = std::find_if(paths.begin(), paths.end(), is_baseline);
    if (baseline == paths.end())
        return std::nullopt;
    Comparison result{.baseline = std::string(baseline_path)};
    for (const PathRun& path : paths) {
        if (is_baseline(path))
            continue;
        const std::vector<BlockPair> both = pairs(path, *baseline, most_pairs);
        if (!both.empty())
            result.paths[std::string(path.type->name)] = ratio_interval(both, seed, resamples);
    }
    return result.paths.empty() ? std::nullopt : std::optional(result);
}

} // namespace clearframe
