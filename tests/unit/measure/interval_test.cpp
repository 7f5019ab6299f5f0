#include "measure/interval.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <vector>

namespace clearframe {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// Random numbers that are the same with every standard library, so that a test that passes once
// passes everywhere.
class Random {
public:
    explicit Random(std::uint64_t seed) : bits_(seed) {}

    double uniform() { return (static_cast<double>(bits_() >> 11) + 0.5) * 0x1p-53; }
    double normal() {
        return std::sqrt(-2 * std::log(uniform())) * std::cos(6.283185307179586 * uniform());
    }

private:
    std::mt19937_64 bits_;
};

BlockPair pair_of(double candidate_seconds, double baseline_seconds) {
    return {{250, candidate_seconds}, {250, baseline_seconds}};
}

constexpr double true_ratio = 2.3;

// How many of 400 runs' intervals contain the true ratio. `noise` has a mean of 1.
double coverage(std::size_t pairs, const std::function<double(Random&)>& noise) {
    constexpr int runs = 400;
    int containing = 0;
    for (int run = 0; run < runs; ++run) {
        Random random(static_cast<std::uint64_t>(run) + 1);
        std::vector<BlockPair> blocks;
        for (std::size_t i = 0; i < pairs; ++i) {
            const double both = 1 + 0.5 * random.uniform();
            blocks.push_back(
                pair_of(0.1 * both * noise(random), 0.1 * true_ratio * both * noise(random)));
        }
        const RatioInterval interval = ratio_interval(blocks, static_cast<std::uint64_t>(run));
        EXPECT_LE(interval.low, interval.ratio);
        EXPECT_GE(interval.high, interval.ratio);
        containing += interval.low <= true_ratio && true_ratio <= interval.high;
    }
    return static_cast<double>(containing) / runs;
}

double normal_noise(Random& random) { return 1 + 0.1 * random.normal(); }

TEST(RatioInterval, ContainsTheTruthOfNormalNoise) {
    const double found = coverage(20, normal_noise);
    EXPECT_GE(found, 0.90);
    EXPECT_LE(found, 0.98);
}

TEST(RatioInterval, ContainsTheTruthOfUniformNoise) {
    const double found = coverage(20, [](Random& random) { return 0.5 + random.uniform(); });
    EXPECT_GE(found, 0.90);
    EXPECT_LE(found, 0.98);
}

TEST(RatioInterval, ContainsTheTruthOfSkewedNoise) {
    const double found = coverage(20, [](Random& random) {
        return std::exp(0.3 * random.normal() - 0.045); // log-normal, mean 1
    });
    EXPECT_GE(found, 0.90);
    EXPECT_LE(found, 0.98);
}

// The figures that docs/results.md gives for few pairs.
TEST(RatioInterval, KeepsItsPromiseWithFewPairs) {
    EXPECT_NEAR(coverage(5, normal_noise), 0.92, 0.04);
    EXPECT_NEAR(coverage(8, normal_noise), 0.94, 0.04);
    EXPECT_NEAR(coverage(12, normal_noise), 0.945, 0.035);
}

TEST(RatioInterval, IdenticalBlocksLeaveNoDoubt) {
    const std::vector<BlockPair> pairs(20, pair_of(0.1, 0.23));
    const RatioInterval interval = ratio_interval(pairs, 1);
    EXPECT_NEAR(interval.ratio, 2.3, 1e-12);
    EXPECT_EQ(interval.low, interval.ratio);
    EXPECT_EQ(interval.high, interval.ratio);
    EXPECT_EQ(interval.pairs, 20U);
}

TEST(RatioInterval, WhatSlowsBothOfAPairIsNoDoubt) {
    std::vector<BlockPair> pairs;
    for (int i = 1; i <= 20; ++i)
        pairs.push_back(pair_of(0.1 * i, 0.2 * i));
    const RatioInterval interval = ratio_interval(pairs, 1);
    EXPECT_NEAR(interval.ratio, 2, 1e-12);
    EXPECT_NEAR(interval.low, 2, 1e-12);
    EXPECT_NEAR(interval.high, 2, 1e-12);
}

TEST(RatioInterval, RatioIsOfAllFramesPerAllSeconds) {
    const std::vector<BlockPair> pairs{{{100, 1}, {100, 2}}, {{300, 1}, {100, 8}}};
    EXPECT_DOUBLE_EQ(ratio_interval(pairs, 1).ratio, (400 / 2.0) / (200 / 10.0));
}

TEST(RatioInterval, OfOnePairIsUnknown) {
    const std::vector<BlockPair> pairs{pair_of(1, 2)};
    const RatioInterval interval = ratio_interval(pairs, 1);
    EXPECT_EQ(interval.ratio, 2);
    EXPECT_EQ(interval.low, 0);
    EXPECT_EQ(interval.high, infinity);
    EXPECT_EQ(interval.pairs, 1U);
}

TEST(RatioInterval, OfNothingIsUnknown) {
    const RatioInterval interval = ratio_interval({}, 1);
    EXPECT_EQ(interval.low, 0);
    EXPECT_EQ(interval.high, infinity);
    EXPECT_EQ(interval.pairs, 0U);
}

TEST(RatioInterval, ABaselineThatMovesNothingMakesItInfinite) {
    const std::vector<BlockPair> never(5, {{250, 1}, {0, 1}});
    EXPECT_EQ(ratio_interval(never, 1).ratio, infinity);
    EXPECT_EQ(ratio_interval(never, 1).low, infinity);

    std::vector<BlockPair> once = never;
    once[0].baseline.frames = 100;
    const RatioInterval interval = ratio_interval(once, 1);
    EXPECT_EQ(interval.ratio, 1250.0 / 100);
    EXPECT_LT(interval.low, interval.ratio);
    EXPECT_EQ(interval.high, infinity);
}

TEST(RatioInterval, SameSeedSameResultOnEveryMachine) {
    std::vector<BlockPair> pairs;
    for (int i = 0; i < 8; ++i)
        pairs.push_back(pair_of(1 + 0.125 * (i % 3), 2 + 0.25 * (i % 5)));
    const RatioInterval interval = ratio_interval(pairs, 42);
    EXPECT_DOUBLE_EQ(interval.low, 1.8684210526315788);
    EXPECT_DOUBLE_EQ(interval.high, 2.4999999999999996);
    const RatioInterval again = ratio_interval(pairs, 42);
    EXPECT_EQ(interval.low, again.low);
    EXPECT_EQ(interval.high, again.high);
}

} // namespace
} // namespace clearframe
