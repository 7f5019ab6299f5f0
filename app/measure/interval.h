// How sure a ratio is.
#pragma once

#include <cstdint>
#include <span>

namespace clearframe {

// What one path did in one block.
struct Amount {
    double frames = 0;
    double seconds = 0;
};

// Two paths' blocks that ran next to each other.
struct BlockPair {
    Amount candidate;
    Amount baseline;
};

struct RatioInterval {
    double ratio = 0; // of all frames per all seconds, candidate over baseline; infinity if the
                      // baseline moved nothing
    double low = 0;   // 95 % interval
    double high = 0;
    std::uint32_t pairs = 0;
};

// The ratio of two paths' frame rates and its 95 % bootstrap interval: the pairs are resampled
// with replacement `resamples` times and percentiles (nearest rank) taken, a little further out
// than the 2.5th and the 97.5th where pairs are few (Hesterberg, What Teachers Should Know About
// the Bootstrap, 2015: the expanded percentile interval; docs/results.md says how well it does).
// Pairs, not blocks, are resampled: what slows the machine for a while slows both. With fewer than
// two pairs the interval is unknown: low 0, high infinity. Same seed, same result, on every
// machine. Allocates.
RatioInterval ratio_interval(std::span<const BlockPair> pairs, std::uint64_t seed,
                             std::uint32_t resamples = 4000);

} // namespace clearframe
