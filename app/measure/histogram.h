// Latencies and stage times.
#pragma once

#include "core/clock.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace clearframe {

// A log-linear histogram of nanoseconds: every power of two is divided into 128 buckets of the
// same width, so that a quantile is at most 1/128 (0.8 %) of its value too high, and never too low.
// Values under 256 ns are exact; in quantiles, values from 2^38 ns (4.6 minutes) up count as one
// less than that. A negative value counts as 0. Maximum and mean are exact.
//
// One thread records; any thread may read meanwhile and sees each count whole, though not all of
// one instant. Allocates nothing, about 32 KiB in size.
class Histogram {
public:
    void record(Nanoseconds value) noexcept;
    void add(const Histogram& other) noexcept; // by the recording thread
    void reset() noexcept;                     // by the recording thread

    std::uint64_t count() const noexcept;
    Nanoseconds max() const noexcept;
    double mean() const noexcept; // 0 when empty
    // The smallest recorded value that at least the fraction `q` (0 … 1) of all values do not
    // exceed (the "nearest rank" quantile), as the highest value of its bucket or the maximum. 0
    // when empty.
    Nanoseconds quantile(double q) const noexcept;

private:
    static constexpr int sub_bits = 7;
    static constexpr int top_bit = 38;
    static constexpr std::size_t buckets = std::size_t{top_bit - sub_bits + 1} << sub_bits;

    static std::size_t index_of(std::uint64_t value) noexcept;
    static std::uint64_t lowest_in(std::size_t index) noexcept;

    std::array<std::atomic<std::uint64_t>, buckets> counts_{};
    std::atomic<std::uint64_t> count_{0};
    std::atomic<std::uint64_t> sum_{0};
    std::atomic<std::int64_t> max_{0};
};

} // namespace clearframe
