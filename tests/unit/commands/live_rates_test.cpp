#include "commands/live_rates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace clearframe {
namespace {

using testing::ElementsAre;
using testing::Eq;
using testing::Optional;

constexpr Nanoseconds ms = 1'000'000;
constexpr Nanoseconds bin = 250 * ms;

// The last `count` of them, up to the last whole bin before `time`.
std::vector<std::optional<float>> last(const RateHistory& history, Nanoseconds time,
                                       std::size_t count) {
    const auto all = history.rates(time);
    return {all.end() - static_cast<std::ptrdiff_t>(count), all.end()};
}

TEST(RateHistory, IsEmptyWhereNothingRan) {
    RateHistory history;
    for (const std::optional<float> rate : history.rates(100 * one_second))
        EXPECT_EQ(rate, std::nullopt);
    for (const std::optional<float> rate : history.rates(0)) // the clock has just begun
        EXPECT_EQ(rate, std::nullopt);
}

TEST(RateHistory, IsTheRateWhileThePathRan) {
    RateHistory history;
    // Half of the bin, at 4 GB/s: 4, not 2.
    history.add(100 * bin, 100 * bin + bin / 2, {.bytes = 400'000'000, .time = 100 * ms});
    EXPECT_THAT(last(history, 101 * bin, 2), ElementsAre(Eq(std::nullopt), Optional(4.0f)));
    EXPECT_THAT(last(history, 102 * bin - 1, 1), ElementsAre(Optional(4.0f))); // not whole: not yet
    EXPECT_THAT(last(history, 102 * bin, 2), ElementsAre(Optional(4.0f), Eq(std::nullopt)));
}

TEST(RateHistory, ABlockOverSeveralBinsIsSpread) {
    RateHistory history;
    history.add(100 * bin + bin / 2, 103 * bin, {.bytes = 1000, .time = 500});
    EXPECT_THAT(last(history, 103 * bin, 4),
                ElementsAre(Eq(std::nullopt), Optional(2.0f), Optional(2.0f), Optional(2.0f)));
}

TEST(RateHistory, BlocksInOneBinCountByTheirTime) {
    RateHistory history;
    history.add(100 * bin, 100 * bin + 1 * ms, {.bytes = 1000, .time = 100});
    history.add(100 * bin + 2 * ms, 100 * bin + 3 * ms, {.bytes = 3000, .time = 300});
    EXPECT_THAT(last(history, 101 * bin, 1), ElementsAre(Optional(10.0f)));
    history.add(100 * bin + 4 * ms, 100 * bin + 5 * ms, {.bytes = 0, .time = 400});
    EXPECT_THAT(last(history, 101 * bin, 1), ElementsAre(Optional(5.0f)));
}

TEST(RateHistory, ForgetsWhatIsOlderThanItShows) {
    RateHistory history;
    history.add(100 * bin, 101 * bin, {.bytes = 1000, .time = 100});
    const auto shown = [&](std::int64_t bins_later) {
        return history.rates((101 + bins_later) * bin);
    };
    EXPECT_EQ(shown(119).front(), 10.0f);
    EXPECT_EQ(shown(120).front(), std::nullopt);
    for (const std::optional<float> rate : shown(122)) // its place in the ring comes round again
        EXPECT_EQ(rate, std::nullopt);
}

TEST(RateHistory, ABlockLongerThanTheHistoryFillsIt) {
    RateHistory history;
    history.add(bin, 1001 * bin, {.bytes = 10'000, .time = 1000});
    for (const std::optional<float> rate : history.rates(1001 * bin))
        EXPECT_EQ(rate, 10.0f);
}

TEST(RateHistory, WhatTookNoTimeIsLeftOut) {
    RateHistory history;
    history.add(100 * bin, 100 * bin, {.bytes = 1000, .time = 100});
    history.add(100 * bin, 101 * bin, {.bytes = 1000, .time = 0});
    EXPECT_THAT(last(history, 101 * bin, 1), ElementsAre(Eq(std::nullopt)));
}

TEST(RecentTotals, AreThoseOfTheLastThreeSeconds) {
    RecentTotals recent;
    EXPECT_EQ(recent.sum().gbytes_per_s(), 0);
    for (int i = 0; i < 100; ++i)
        recent.add({.frames = 1, .bytes = 1'000'000'000, .time = one_second / 10});
    EXPECT_DOUBLE_EQ(recent.sum().gbytes_per_s(), 10);
    EXPECT_EQ(recent.sum().frames, 30u);
    for (int i = 0; i < 30; ++i)
        recent.add({.frames = 1, .bytes = 500'000'000, .time = one_second / 10});
    EXPECT_DOUBLE_EQ(recent.sum().gbytes_per_s(), 5);
    recent.add({.frames = 7, .bytes = 90, .time = 60 * one_second}); // one block alone
    EXPECT_EQ(recent.sum().frames, 7u);
}

} // namespace
} // namespace clearframe
