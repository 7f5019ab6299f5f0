// The emulated link's own time: how long writes occupy it.
#pragma once

#include "core/clock.h"

#include <cstdint>

namespace clearframe {

// A link of a given rate that carries one write after the other. Pure: the times are the
// caller's. One thread.
class Link {
public:
    explicit Link(double gbits_per_s) : gbits_per_s_(gbits_per_s) {} // 0: no limit

    bool has_rate() const noexcept { return gbits_per_s_ > 0; }
    double gbytes_per_s() const noexcept { return gbits_per_s_ / 8; }

    // When the next write may begin.
    Nanoseconds free_at() const noexcept { return free_at_; }

    // Puts a write of `bytes` on the link, posted at `posted` and taken up at `time`, and returns
    // when its last byte has passed. Writes that wait in a queue follow each other without a gap,
    // even if the caller wakes up late for them.
    Nanoseconds occupy(std::uint64_t bytes, Nanoseconds posted, Nanoseconds time);

private:
    double gbits_per_s_;
    Nanoseconds free_at_ = 0;
    double fraction_ = 0; // of a nanosecond, carried over so that the average rate is exact
};

} // namespace clearframe
