#include "nic/emulated/link.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace clearframe {
namespace {

TEST(Link, WithoutRateItIsNeverBusy) {
    Link link(0);
    EXPECT_FALSE(link.has_rate());
    EXPECT_EQ(link.occupy(1'000'000, 5, 700), 700);
    EXPECT_EQ(link.free_at(), 0);
}

TEST(Link, AWriteTakesItsBitsOverTheRate) {
    Link link(8); // a byte a nanosecond
    EXPECT_TRUE(link.has_rate());
    EXPECT_DOUBLE_EQ(link.gbytes_per_s(), 1);
    EXPECT_EQ(link.occupy(5'000, 1'000'000, 1'000'100), 1'005'000);
    EXPECT_EQ(link.free_at(), 1'005'000);
}

TEST(Link, OneThatWaitsInTheQueueFollowsWithoutAGap) {
    Link link(8);
    link.occupy(5'000, 0, 0);
    EXPECT_EQ(link.occupy(5'000, 0, 9'000), 10'000); // taken up 4000 too late
    EXPECT_EQ(link.occupy(5'000, 0, 11'000), 15'000);
}

TEST(Link, AnIdleLinkSavesNothingUp) {
    Link link(8);
    link.occupy(5'000, 0, 0);
    EXPECT_EQ(link.occupy(5'000, 1'000'000, 1'000'050), 1'005'000);
}

TEST(Link, AnEmptyMessageTakesNoTime) {
    Link link(8);
    EXPECT_EQ(link.occupy(0, 500, 600), 500);
}

TEST(Link, TheAverageRateIsExactHoweverLateTheCallerIs) {
    Link link(100);
    std::mt19937 random(1);
    Nanoseconds time = 1'000'000'000;
    const Nanoseconds start = time;
    double bytes = 0;
    // 262144 bytes take 20971.52 ns: the fractions must not be lost.
    for (int i = 0; i < 100'000; ++i) {
        bytes += 262'144;
        const Nanoseconds end = link.occupy(262'144, start, time);
        time = std::max(time, end) + static_cast<Nanoseconds>(random() % 40'000);
    }
    EXPECT_NEAR(static_cast<double>(link.free_at() - start), bytes * 8 / 100, 1);
}

TEST(Link, MemorySlowerThanTheLinkIsNotMadeUpFor) {
    Link link(8);
    Nanoseconds time = 0;
    for (int i = 0; i < 1000; ++i) {
        link.occupy(1'000, 0, time);
        time += 1'000'000; // a thousand times slower
    }
    // A second has passed. At most some milliseconds of it may now go faster.
    int at_once = 0;
    while (link.free_at() <= time) {
        link.occupy(1'000'000, 0, time);
        ++at_once;
    }
    EXPECT_LE(at_once, 12);
}

} // namespace
} // namespace clearframe
