#include "measure/throughput.h"

#include <gtest/gtest.h>

#include <limits>
#include <thread>

namespace clearframe {
namespace {

constexpr Nanoseconds ms = 1'000'000;

// Frames of `bytes` every `period`, in a block of their own; returns the last arrival.
Nanoseconds stream(ThroughputMeter& meter, std::uint64_t bytes, Nanoseconds period, int frames,
                   Nanoseconds start) {
    meter.start_block();
    for (int i = 0; i <= frames; ++i)
        meter.arrived(bytes, start + i * period);
    return start + frames * period;
}

TEST(ThroughputMeter, ConstantStreamFillsEqualBins) {
    ThroughputMeter meter(10 * one_second);
    // 7 ms do not divide 100 ms: counted whole, bins would differ by a frame in 14.
    stream(meter, 7'000'000, 7 * ms, 300, 5 * one_second);
    const ThroughputMeter::Floor floor = meter.floor();
    EXPECT_EQ(floor.bins, 21U);
    EXPECT_NEAR(floor.min, 1.0, 1e-9);
    EXPECT_NEAR(floor.p5, 1.0, 1e-9);
    EXPECT_NEAR(meter.total().gbytes_per_s(), 1.0, 1e-12);
    EXPECT_NEAR(meter.total().frames_per_s(), 1000.0 / 7, 1e-9);
}

TEST(ThroughputMeter, FirstFrameOfABlockOnlyStartsTheClock) {
    ThroughputMeter meter(one_second);
    meter.start_block();
    meter.arrived(1'000, 50);
    EXPECT_EQ(meter.total().frames, 0U);
    EXPECT_EQ(meter.total().time, 0);
    EXPECT_EQ(meter.total().gbytes_per_s(), 0);
    EXPECT_EQ(meter.total().frames_per_s(), 0);
    meter.arrived(1'000, 60);
    EXPECT_EQ(meter.total().frames, 1U);
    EXPECT_EQ(meter.total().bytes, 1'000U);
    EXPECT_EQ(meter.total().time, 10);
}

TEST(ThroughputMeter, AGapShowsInMinimumAndP5) {
    ThroughputMeter meter(10 * one_second);
    const Nanoseconds end = stream(meter, 10'000'000, 10 * ms, 300, 0);
    meter.arrived(10'000'000, end + 300 * ms); // three bins with next to nothing
    for (int i = 1; i <= 70; ++i)
        meter.arrived(10'000'000, end + 300 * ms + i * 10 * ms);
    const ThroughputMeter::Floor floor = meter.floor();
    EXPECT_EQ(floor.bins, 40U);
    EXPECT_NEAR(floor.min, 0.01 / 0.3, 1e-9);
    EXPECT_NEAR(floor.p5, 0.01 / 0.3, 1e-9); // the 2nd of 40
}

TEST(ThroughputMeter, P5LeavesTheRarestGapOut) {
    ThroughputMeter meter(10 * one_second);
    const Nanoseconds end = stream(meter, 10'000'000, 10 * ms, 390, 0);
    meter.arrived(10'000'000, end + 100 * ms); // one bin of 40
    const ThroughputMeter::Floor floor = meter.floor();
    EXPECT_EQ(floor.bins, 40U);
    EXPECT_NEAR(floor.min, 0.1, 1e-9);
    EXPECT_NEAR(floor.p5, 1.0, 1e-9);
}

TEST(ThroughputMeter, TimeBetweenBlocksDoesNotCount) {
    ThroughputMeter meter(10 * one_second);
    Nanoseconds at = 0;
    for (int block = 0; block < 10; ++block)
        at = stream(meter, 1'000'000, ms, 150, at + 3 * one_second);
    EXPECT_EQ(meter.total().frames, 1'500U);
    EXPECT_EQ(meter.total().time, 1'500 * ms);
    EXPECT_EQ(meter.block().frames, 150U);
    EXPECT_EQ(meter.block().bytes, 150'000'000U);
    EXPECT_EQ(meter.block().time, 150 * ms);
    const ThroughputMeter::Floor floor = meter.floor();
    EXPECT_EQ(floor.bins, 15U);
    EXPECT_NEAR(floor.min, 1.0, 1e-9);
}

TEST(ThroughputMeter, FramesLongerThanABinSpreadOverAllOfIt) {
    ThroughputMeter meter(10 * one_second);
    stream(meter, 250'000'000, 250 * ms, 8, 0);
    const ThroughputMeter::Floor floor = meter.floor();
    EXPECT_EQ(floor.bins, 20U);
    EXPECT_NEAR(floor.min, 1.0, 1e-9);
    EXPECT_NEAR(floor.p5, 1.0, 1e-9);
}

TEST(ThroughputMeter, WithNoWholeBinTheFloorIsTheMean) {
    ThroughputMeter meter(one_second);
    EXPECT_EQ(meter.floor().min, 0);
    stream(meter, 3'000'000, ms, 99, 0);
    const ThroughputMeter::Floor floor = meter.floor();
    EXPECT_EQ(floor.bins, 0U);
    EXPECT_NEAR(floor.min, 3.0, 1e-9);
    EXPECT_NEAR(floor.p5, 3.0, 1e-9);
}

TEST(ThroughputMeter, BeyondItsRoomOnlyTheTotalsCount) {
    ThroughputMeter meter(150 * ms);
    const Nanoseconds end = stream(meter, 1'000'000, ms, 500, 0);
    meter.arrived(1, end + 10 * one_second);
    EXPECT_EQ(meter.floor().bins, 2U);
    EXPECT_NEAR(meter.floor().min, 1.0, 1e-9);
    EXPECT_EQ(meter.total().frames, 501U);
    EXPECT_EQ(meter.total().time, 500 * ms + 10 * one_second);
}

TEST(ThroughputMeter, AnyLongestIsTaken) {
    for (const Nanoseconds longest :
         {Nanoseconds{0}, Nanoseconds{-1}, std::numeric_limits<Nanoseconds>::max()}) {
        ThroughputMeter meter(longest);
        stream(meter, 1'000'000, ms, 300, 0);
        EXPECT_NEAR(meter.floor().min, 1.0, 1e-9);
        EXPECT_EQ(meter.total().frames, 300U);
    }
}

TEST(ThroughputMeter, ArrivalsAtOneInstantAndAClockGoingBackAreCounted) {
    ThroughputMeter meter(one_second);
    meter.start_block();
    meter.arrived(1, 1'000);
    meter.arrived(10, 2'000);
    meter.arrived(10, 2'000);
    meter.arrived(10, 1'500);
    meter.arrived(10, 3'000);
    EXPECT_EQ(meter.total().frames, 4U);
    EXPECT_EQ(meter.total().bytes, 40U);
    EXPECT_EQ(meter.total().time, 2'000);
}

TEST(ThroughputMeter, CanBeReadWhileRecording) {
    constexpr int frames = 50'000;
    ThroughputMeter meter(frames * ms);
    std::thread writer([&] { stream(meter, 1'000'000, ms, frames, 0); });
    std::uint64_t before = 0;
    while (before < frames) {
        const ThroughputMeter::Floor floor = meter.floor();
        if (floor.bins > 0) {
            EXPECT_NEAR(floor.min, 1.0, 1e-9);
        }
        const ThroughputMeter::Totals total = meter.total();
        EXPECT_GE(total.frames, before);
        EXPECT_LE(meter.block().frames, std::uint64_t{frames});
        before = total.frames;
    }
    writer.join();
    EXPECT_EQ(meter.floor().bins, std::size_t{frames / 100});
}

} // namespace
} // namespace clearframe
