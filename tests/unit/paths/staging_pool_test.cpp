#include "paths/staging_pool.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace clearframe {
namespace {

TEST(SwiotlbRule, IsSixPercentOfMemoryWithinItsBounds) {
    EXPECT_EQ(swiotlb_pool_rule(512 * MiB), 64 * MiB);
    EXPECT_EQ(swiotlb_pool_rule(4 * GiB), 4 * GiB * 6 / 100);
    EXPECT_EQ(swiotlb_pool_rule(1024 * GiB), GiB);
}

TEST(StagingPool, MapsA1080pFrameIn32Pieces) {
    StagingPool pool(64 * MiB);
    std::size_t pieces = 0;
    for (std::size_t done = 0; done < 1920 * 1080 * 4; done += swiotlb_mapping)
        pieces += pool.allocate(swiotlb_mapping).has_value();
    EXPECT_EQ(pieces, 32u);
    EXPECT_EQ(pool.used_slots(), 32u * 128);
}

TEST(StagingPool, RoundsUpToSlotsAndSaysWhenItIsFull) {
    StagingPool pool(2 * swiotlb_mapping + 1);
    EXPECT_EQ(pool.bytes(), 2 * swiotlb_mapping);
    const auto small = pool.allocate(1);
    ASSERT_TRUE(small);
    EXPECT_EQ(pool.used_slots(), 1u);
    // The rest of the first segment is too short for a whole mapping: it goes to the second.
    const auto whole = pool.allocate(swiotlb_mapping);
    ASSERT_TRUE(whole);
    EXPECT_EQ(whole->offset(), swiotlb_mapping);
    EXPECT_FALSE(pool.allocate(swiotlb_mapping));
    EXPECT_TRUE(pool.allocate(swiotlb_mapping - swiotlb_slot));
    EXPECT_FALSE(pool.allocate(1));
}

TEST(StagingPool, UsesTheLowestAddressAgain) {
    StagingPool pool(8 * swiotlb_mapping);
    const auto first = pool.allocate(swiotlb_mapping);
    const auto second = pool.allocate(swiotlb_mapping);
    ASSERT_TRUE(first && second);
    ASSERT_TRUE(pool.free(first->first_slot));
    const auto again = pool.allocate(swiotlb_mapping);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->first_slot, first->first_slot);
}

TEST(StagingPool, IsNeverSmallerThanOneMapping) {
    StagingPool pool(0);
    EXPECT_EQ(pool.bytes(), swiotlb_mapping);
    EXPECT_TRUE(pool.allocate(swiotlb_mapping));
}

TEST(StagingPool, RefusesToFreeWhatWasNotAllocated) {
    StagingPool pool(2 * swiotlb_mapping);
    const auto room = pool.allocate(3 * swiotlb_slot);
    ASSERT_TRUE(room);
    EXPECT_FALSE(pool.free(room->first_slot + 1)); // inside a run
    EXPECT_FALSE(pool.free(200));                  // not allocated
    EXPECT_FALSE(pool.free(0xffffffff));           // outside the pool
    EXPECT_TRUE(pool.free(room->first_slot));
    EXPECT_FALSE(pool.free(room->first_slot)); // twice
    EXPECT_EQ(pool.used_slots(), 0u);
}

// Against a plain model: runs lie inside one segment, never overlap, and all come back.
TEST(StagingPool, KeepsItsGeometryUnderRandomUse) {
    StagingPool pool(6 * swiotlb_mapping);
    std::mt19937 random(7);
    std::map<std::size_t, std::size_t> runs; // offset → bytes
    for (int step = 0; step < 20000; ++step) {
        if (!runs.empty() && random() % 2 == 0) {
            auto victim = runs.begin();
            std::advance(victim, random() % runs.size());
            ASSERT_TRUE(pool.free(static_cast<std::uint32_t>(victim->first / swiotlb_slot)));
            runs.erase(victim);
            continue;
        }
        const std::size_t bytes = 1 + random() % swiotlb_mapping;
        const auto room = pool.allocate(bytes);
        if (!room)
            continue;
        const std::size_t begin = room->offset();
        const std::size_t length = align_up(bytes, swiotlb_slot);
        ASSERT_EQ(begin / swiotlb_mapping, (begin + length - 1) / swiotlb_mapping);
        ASSERT_LE(begin + length, pool.bytes());
        const auto next = runs.lower_bound(begin);
        ASSERT_TRUE(next == runs.end() || begin + length <= next->first);
        ASSERT_TRUE(next == runs.begin() ||
                    std::prev(next)->first + std::prev(next)->second <= begin);
        runs[begin] = length;
    }
    for (const auto& [begin, length] : runs)
        EXPECT_TRUE(pool.free(static_cast<std::uint32_t>(begin / swiotlb_slot)));
    EXPECT_EQ(pool.used_slots(), 0u);
}

} // namespace
} // namespace clearframe
