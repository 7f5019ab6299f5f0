#include "measure/interval.h"

#include "measure/rank.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <random>
#include <vector>

namespace clearframe {
namespace {

void add(Amount& sum, const Amount& amount) {
    sum.frames += amount.frames;
    sum.seconds += amount.seconds;
}

double rate(const Amount& amount) {
    return amount.seconds > 0 ? amount.frames / amount.seconds : 0;
}

double ratio(const BlockPair& sum) {
    const double baseline = rate(sum.baseline);
    return baseline > 0 ? rate(sum.candidate) / baseline : std::numeric_limits<double>::infinity();
}

// The two-sided 95 % quantile of Student's t distribution; for more than 30 degrees of freedom by
// the first two terms of its Cornish-Fisher expansion (Abramowitz and Stegun 26.7.5).
double student_t(std::size_t degrees) {
    constexpr double table[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306,
                                2.262,  2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
                                2.110,  2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064,
                                2.060,  2.056, 2.052, 2.048, 2.045, 2.042};
    if (degrees <= std::size(table))
        return table[degrees - 1];
    constexpr double z = 1.959964;
    return z + (z * z * z + z) / (4 * static_cast<double>(degrees));
}

// The part of the resampled ratios to leave out at each end.
double tail(std::size_t pairs) {
    const auto n = static_cast<double>(pairs);
    return std::erfc(std::sqrt(n / (n - 1)) * student_t(pairs - 1) / std::sqrt(2.0)) / 2;
}

// 0 … n - 1 from 64 random bits. The standard's own distributions differ between libraries; what
// this one lacks in evenness (n / 2^32) no interval shows.
std::size_t pick(std::uint64_t bits, std::size_t n) { return (bits >> 32) * n >> 32; }

} // namespace

RatioInterval ratio_interval(std::span<const BlockPair> pairs, std::uint64_t seed,
                             std::uint32_t resamples) {
    RatioInterval result{.high = std::numeric_limits<double>::infinity(),
                         .pairs = static_cast<std::uint32_t>(pairs.size())};
    BlockPair all;
    for (const BlockPair& pair : pairs) {
        add(all.candidate, pair.candidate);
        add(all.baseline, pair.baseline);
    }
    result.ratio = ratio(all);
    if (pairs.size() < 2)
        return result;

    std::mt19937_64 random(seed);
    std::vector<double> ratios(resamples);
    for (double& resampled : ratios) {
        BlockPair sum;
        for (std::size_t i = 0; i < pairs.size(); ++i) {
            const BlockPair& pair = pairs[pick(random(), pairs.size())];
            add(sum.candidate, pair.candidate);
            add(sum.baseline, pair.baseline);
        }
        resampled = ratio(sum);
    }
    std::sort(ratios.begin(), ratios.end());
    const double out = tail(pairs.size());
    result.low = ratios[nearest_rank(out, resamples) - 1];
    result.high = ratios[nearest_rank(1 - out, resamples) - 1];
    return result;
}

} // namespace clearframe
