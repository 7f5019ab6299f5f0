// Throughput over time.
#pragma once

#include "core/clock.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace clearframe {

// Bytes per 100 ms of a path's own running time: the time between its blocks is left out. One
// thread records, any thread may read. Allocates in its constructor alone.
class ThroughputMeter {
public:
    static constexpr Nanoseconds bin_ns = 100'000'000;

    // Room for `longest` of running time, a day at most; what comes later counts in the totals
    // alone.
    explicit ThroughputMeter(Nanoseconds longest);

    // Any thread, between blocks: a block begins. The next arrival starts its clock and its own
    // bytes do not count (there is no time to hold them against).
    void start_block() noexcept;
    // `bytes` arrived at `at`. They are spread evenly over the time since the arrival before, so
    // that a bin does not jump by whole frames. A clock that goes back is taken to stand still.
    void arrived(std::uint64_t bytes, Nanoseconds at) noexcept;

    // Of the block now running or last run: counted frames, bytes, and the time they took.
    struct Totals {
        std::uint64_t frames = 0;
        std::uint64_t bytes = 0;
        Nanoseconds time = 0;
        Totals operator+(const Totals& more) const {
            return {frames + more.frames, bytes + more.bytes, time + more.time};
        }
        Totals operator-(const Totals& before) const {
            return {frames - before.frames, bytes - before.bytes, time - before.time};
        }
        double gbytes_per_s() const { return time > 0 ? double(bytes) / double(time) : 0; }
        double frames_per_s() const { return time > 0 ? double(frames) * 1e9 / double(time) : 0; }
    };
    Totals block() const noexcept;
    Totals total() const noexcept; // of all blocks

    // Of the whole 100 ms bins so far: the least and the 5th percentile (nearest rank), GB/s. With
    // no whole bin yet, both are the mean.
    struct Floor {
        double min = 0;
        double p5 = 0;
        std::size_t bins = 0;
    };
    Floor floor() const; // allocates

private:
    // Adds `bytes` evenly to the bins from `begin` to `begin + took` of running time.
    void spread(std::uint64_t bytes, Nanoseconds begin, Nanoseconds took) noexcept;

    std::vector<std::atomic<double>> bins_; // bytes
    std::atomic<std::uint64_t> frames_{0}, bytes_{0};
    std::atomic<Nanoseconds> time_{0};
    std::atomic<std::uint64_t> block_frames_{0}, block_bytes_{0};
    std::atomic<Nanoseconds> block_time_{0};
    std::atomic<Nanoseconds> last_{-1}; // arrival before; -1: none in this block
};

} // namespace clearframe
