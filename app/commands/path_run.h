// What is measured of one path while blocks of frames run along it, and what follows from that.
#pragma once

#include "measure/meters.h"
#include "measure/record.h"
#include "paths/table.h"

#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace clearframe {

// The meters are read by any thread; the rest belongs to the thread that runs the blocks.
struct PathRun {
    // `longest` is the running time that there is room for in the throughput's bins.
    PathRun(const PathType& path_type, Nanoseconds longest);

    const PathType* type;
    std::shared_ptr<SendMeter> sent; // a copy of the run has the same meters
    std::shared_ptr<ReceiveMeter> received;
    std::deque<BlockRecord> blocks; // the last `most_blocks` that ran
    std::uint64_t forgotten = 0;    // blocks before those
    bool same_buffer = false;

    // Keeps what the block that has just run came to; `index` counts over all paths.
    void add_block(std::uint32_t index,
                   std::size_t most_blocks = std::numeric_limits<std::size_t>::max());
};

// All of them of any thread.
Quantiles quantiles(const Histogram& histogram);
// The medians of the stages that this path has.
std::map<std::string, double> stages(const PathRun& run);
std::map<std::string, double> receive_stages(const ReceiveMeter& received);
// Between blocks: CPU time is counted at their end.
double cpu_ms_per_gbyte(const PathRun& run);
// Of the receiving end alone; 0 before a frame has come.
double cpu_ms_per_gbyte(const ReceiveMeter& received, std::uint64_t frame_bytes);

// Of what a receiver counted: all that it alone knows.
PathRecord received_record(const ReceiveMeter& received);
// Fills in what follows from the CPU time in copies and outside, once frames and copied bytes are
// there.
void set_cpu(PathRecord& record, double copy_ns, double own_ns);
// By the thread that runs the blocks, or while it does not.
PathRecord path_record(const PathRun& run);
// Every other path against the baseline, by the last `most_pairs` blocks that ran one after the
// other; empty if there are not both.
std::optional<Comparison> compare(std::span<const PathRun> paths, std::uint64_t seed,
                                  std::uint32_t resamples = 4000,
                                  std::size_t most_pairs = std::numeric_limits<std::size_t>::max());

} // namespace clearframe
