#include "memory/exposure.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace clearframe {
namespace {

TEST(Exposure, CountsSharedMemoryWhileItExists) {
    ExposureMeter meter;
    {
        const ExposureRecord first(meter, 1000, Exposure::shared);
        const ExposureRecord second(meter, 24, Exposure::shared);
        EXPECT_EQ(meter.now_bytes(), 1024u);
    }
    EXPECT_EQ(meter.now_bytes(), 0u);
    EXPECT_EQ(meter.peak_bytes(), 1024u);
    EXPECT_EQ(meter.unzeroed_bytes(), 0u);
}

TEST(Exposure, DoesNotCountPrivateMemory) {
    ExposureMeter meter;
    ExposureRecord record(meter, 1000, Exposure::private_memory);
    record.not_zeroed();
    EXPECT_EQ(meter.now_bytes(), 0u);
    EXPECT_EQ(meter.peak_bytes(), 0u);
    EXPECT_EQ(meter.unzeroed_bytes(), 0u);
}

TEST(Exposure, MovedRecordCountsOnce) {
    ExposureMeter meter;
    {
        ExposureRecord first(meter, 1000, Exposure::shared);
        const ExposureRecord second(std::move(first));
        EXPECT_EQ(meter.now_bytes(), 1000u);
    }
    EXPECT_EQ(meter.now_bytes(), 0u);
}

TEST(Exposure, RemembersWhatWasNotZeroed) {
    ExposureMeter meter;
    {
        ExposureRecord record(meter, 1000, Exposure::shared);
        record.not_zeroed();
    }
    EXPECT_EQ(meter.unzeroed_bytes(), 1000u);
}

TEST(Exposure, PeakIsTheLargestSumOfSeveralThreads) {
    ExposureMeter meter;
    const ExposureRecord base(meter, 100, Exposure::shared);
    constexpr int threads = 4;
    std::vector<std::thread> running;
    running.reserve(threads);
    for (int t = 0; t < threads; ++t)
        running.emplace_back([&meter] {
            for (int i = 0; i < 2000; ++i)
                const ExposureRecord record(meter, 10, Exposure::shared);
        });
    for (std::thread& thread : running)
        thread.join();
    EXPECT_EQ(meter.now_bytes(), 100u);
    EXPECT_GE(meter.peak_bytes(), 110u);
    EXPECT_LE(meter.peak_bytes(), 100u + 10u * threads);
}

} // namespace
} // namespace clearframe
