// What a path moved lately, out of the totals of its blocks.
#pragma once

#include "measure/snapshot.h"
#include "measure/throughput.h"

#include <array>
#include <cstdint>
#include <deque>
#include <optional>

namespace clearframe {

using Totals = ThroughputMeter::Totals;

// Rates over time as the clock on the wall has it, in bins. A value: copied to be read. All times
// are of now().
class RateHistory {
public:
    // `moved` came between `begin` and `end`: it is spread evenly over that.
    void add(Nanoseconds begin, Nanoseconds end, const Totals& moved);

    // The last bins that were whole at `time`, the oldest first: GB/s while the path ran, nothing
    // where it did not.
    std::array<std::optional<float>, PathSnapshot::bins> rates(Nanoseconds time) const;

private:
    struct Bin {
        std::int64_t number = -1; // since the clock began; another one's contents are over
        double bytes = 0;
        double ns = 0;
    };
    // Two more than are shown: the one that is not whole yet, and the next.
    std::array<Bin, PathSnapshot::bins + 2> bins_{};
};

// The totals of the last few seconds of running time. A value.
class RecentTotals {
public:
    void add(const Totals& block);
    Totals sum() const noexcept { return sum_; }

private:
    std::deque<Totals> blocks_;
    Totals sum_;
};

} // namespace clearframe
