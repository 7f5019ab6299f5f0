#include "measure/meters.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace clearframe {
namespace {

TEST(Counter, CanBeReadWhileAdding) {
    constexpr std::uint64_t additions = 100'000;
    Counter counter;
    std::thread writer([&] {
        for (std::uint64_t i = 0; i < additions; ++i)
            counter.add(i % 2 ? 3 : 1);
    });
    std::uint64_t before = 0;
    while (before < 2 * additions) {
        const std::uint64_t count = counter.get();
        EXPECT_GE(count, before);
        before = count;
    }
    writer.join();
    counter.add();
    EXPECT_EQ(counter.get(), 2 * additions + 1);
}

TEST(Meters, BeginAtZero) {
    const auto sent = std::make_unique<SendMeter>();
    const auto received = std::make_unique<ReceiveMeter>(1'000'000'000);
    EXPECT_EQ(sent->frames.get(), 0U);
    EXPECT_EQ(sent->wire.count(), 0U);
    EXPECT_EQ(received->corrupt.get(), 0U);
    EXPECT_EQ(received->latency.count(), 0U);
    EXPECT_EQ(received->throughput.total().frames, 0U);
}

} // namespace
} // namespace clearframe
