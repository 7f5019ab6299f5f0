// Quantiles of sorted data by rank.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace clearframe {

// The nearest rank: the least k, counted from 1, for which k of n values are at least the fraction
// `q` (0 … 1) of them. n is not 0.
inline std::uint64_t nearest_rank(double q, std::uint64_t n) noexcept {
    // A decimal fraction is seldom a binary one: 0.07 × 100 comes out just above 7 and must be 7.
    constexpr double below = 1 - 4 * std::numeric_limits<double>::epsilon();
    const double count = static_cast<double>(n);
    return static_cast<std::uint64_t>(std::clamp(std::ceil(q * count * below), 1.0, count));
}

} // namespace clearframe
