#include "core/error.h"
#include "memory/ring.h"
#include "wire/immediate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace clearframe {
namespace {

using enum SlotState;

TEST(Ring, HasOneToMaxSlots) {
    EXPECT_THROW(Ring(0), Error);
    EXPECT_THROW(Ring(max_slots + 1), Error);
    EXPECT_EQ(Ring(1).size(), 1u);
    EXPECT_EQ(Ring(max_slots).count(SlotState::free), max_slots);
}

TEST(Ring, SenderAndReceiverStepsAreLegal) {
    Ring ring(2);
    {
        std::optional<Lease> sender = ring.acquire(rendering);
        std::optional<Lease> receiver = ring.acquire_slot(1, arrived);
        ASSERT_TRUE(sender && receiver);
        EXPECT_EQ(sender->slot(), 0u);
        EXPECT_EQ(receiver->slot(), 1u);
        for (const SlotState state : {ready, posted}) {
            sender->advance(state);
            EXPECT_EQ(sender->state(), state);
            EXPECT_EQ(ring.count(state), 1u);
        }
        receiver->advance(shown);
        EXPECT_EQ(ring.count(shown), 1u);
        EXPECT_EQ(ring.count(SlotState::free), 0u);
    }
    EXPECT_EQ(ring.count(SlotState::free), 2u);
}

// Every pair of states: those that the way has, and all others refused with nothing changed.
TEST(Ring, EveryOtherStepIsRefused) {
    const std::vector<std::vector<SlotState>> ways = {
        {rendering}, {rendering, ready}, {rendering, ready, posted}, {arrived}, {arrived, shown}};
    const std::vector<std::pair<SlotState, SlotState>> legal = {
        {rendering, ready}, {ready, posted}, {arrived, shown}};
    for (const std::vector<SlotState>& way : ways)
        for (const SlotState next : {SlotState::free, rendering, ready, posted, arrived, shown}) {
            Ring ring(1);
            std::optional<Lease> lease = ring.acquire(way.front());
            ASSERT_TRUE(lease);
            for (std::size_t i = 1; i < way.size(); ++i)
                lease->advance(way[i]);
            if (std::ranges::find(legal, std::pair(way.back(), next)) != legal.end()) {
                lease->advance(next);
                EXPECT_EQ(lease->state(), next);
            } else {
                EXPECT_THROW(lease->advance(next), std::logic_error);
                EXPECT_EQ(lease->state(), way.back());
            }
        }
}

TEST(Ring, IsAcquiredForRenderingOrArrivalAlone) {
    Ring ring(1);
    for (const SlotState state : {SlotState::free, ready, posted, shown}) {
        EXPECT_THROW(ring.acquire(state), std::logic_error);
        EXPECT_THROW(ring.acquire_slot(0, state), std::logic_error);
    }
    EXPECT_EQ(ring.count(SlotState::free), 1u);
}

TEST(Ring, GivesNothingWhenNoneIsFree) {
    Ring ring(1);
    std::optional<Lease> lease = ring.acquire(rendering);
    EXPECT_FALSE(ring.acquire(rendering));
    EXPECT_FALSE(ring.acquire_slot(0, arrived));
    EXPECT_FALSE(ring.acquire_slot(1, arrived)); // there is no such slot
    lease.reset();
    EXPECT_TRUE(ring.acquire_slot(0, arrived));
}

TEST(Ring, GivesTheSlotThatHasBeenFreeForLongest) {
    Ring ring(4);
    std::vector<Lease> leases;
    for (std::uint32_t slot = 0; slot < 4; ++slot) {
        leases.push_back(*ring.acquire(rendering));
        EXPECT_EQ(leases.back().slot(), slot);
    }
    for (const std::size_t slot : {2, 0, 3, 1})
        leases[slot].release();
    for (const std::uint32_t slot : {2u, 0u, 3u, 1u}) {
        leases.push_back(*ring.acquire(rendering));
        EXPECT_EQ(leases.back().slot(), slot);
    }
}

TEST(Ring, EveryLeaseOfASlotHasItsOwnGeneration) {
    Ring ring(2);
    for (std::uint32_t use = 0; use < 5; ++use) {
        EXPECT_EQ(ring.acquire_slot(1, arrived)->generation(), use);
    }
    EXPECT_EQ(ring.acquire_slot(0, arrived)->generation(), 0u);
}

TEST(Lease, EmptyOneOwnsNothing) {
    Lease lease;
    EXPECT_FALSE(lease);
    lease.release();
    EXPECT_THROW(lease.state(), std::logic_error);
    EXPECT_THROW(lease.advance(ready), std::logic_error);
}

TEST(Lease, MovesAndReleasesOnce) {
    Ring ring(2);
    Lease first = *ring.acquire(rendering);
    Lease second(std::move(first));
    EXPECT_FALSE(first); // NOLINT(bugprone-use-after-move): on purpose
    ASSERT_TRUE(second);
    EXPECT_EQ(ring.count(rendering), 1u);

    Lease& same = second;
    second = std::move(same);
    EXPECT_TRUE(second);

    second = *ring.acquire(rendering); // gives slot 0 back
    EXPECT_EQ(second.slot(), 1u);
    EXPECT_EQ(ring.count(rendering), 1u);
}

// A lease that is released late, when its slot has long been another's, must not free it again.
TEST(Lease, ReleasedTwiceDoesNotFreeTheNextUse) {
    Ring ring(1);
    Lease old = *ring.acquire(rendering);
    old.release();
    const Lease next = *ring.acquire(rendering);
    EXPECT_EQ(next.generation(), 1u);
    old.release();
    { const Lease gone(std::move(old)); }
    EXPECT_EQ(next.state(), rendering);
    EXPECT_FALSE(ring.acquire(rendering));
}

// Threads take slots, move them on and give them back in random order, and hand some of them to
// each other: no slot ever has two owners, and none is lost.
TEST(Ring, RandomInterleavings) {
    constexpr std::uint32_t slots = 5;
    constexpr int threads = 4;
    constexpr int steps = 20000;
    Ring ring(slots);
    std::array<std::atomic<int>, slots> owners{};
    std::array<std::atomic<std::uint32_t>, slots> generations{};
    std::atomic<int> two_owners = 0, wrong_generation = 0;
    std::atomic<std::uint64_t> leased = 0;

    std::mutex mutex;
    Lease handed_over; // guarded by mutex

    std::barrier start(threads);
    const auto work = [&](unsigned seed) {
        start.arrive_and_wait();
        std::minstd_rand random(seed);
        std::vector<Lease> held;
        const auto drop = [&](Lease& lease) {
            if (lease)
                owners[lease.slot()].fetch_sub(1);
            lease.release();
        };
        for (int step = 0; step < steps; ++step) {
            switch (random() % 4) {
            case 0:
            case 1: {
                std::optional<Lease> lease = random() % 2
                                                 ? ring.acquire(rendering)
                                                 : ring.acquire_slot(random() % slots, arrived);
                if (!lease)
                    break;
                ++leased;
                two_owners += owners[lease->slot()].fetch_add(1) != 0;
                wrong_generation += generations[lease->slot()].fetch_add(1) != lease->generation();
                held.push_back(std::move(*lease));
                break;
            }
            case 2:
                if (!held.empty()) {
                    const std::size_t which = random() % held.size();
                    Lease& lease = held[which];
                    switch (lease.state()) {
                    case rendering:
                        lease.advance(ready);
                        break;
                    case ready:
                        lease.advance(posted);
                        break;
                    case arrived:
                        lease.advance(shown);
                        break;
                    default:
                        drop(lease);
                        held.erase(held.begin() + static_cast<std::ptrdiff_t>(which));
                    }
                }
                break;
            case 3:
                if (!held.empty()) {
                    const std::lock_guard lock(mutex);
                    std::swap(handed_over, held.back());
                    if (!held.back())
                        held.pop_back();
                }
                break;
            }
        }
        for (Lease& lease : held)
            drop(lease);
    };

    std::vector<std::thread> running;
    running.reserve(threads);
    for (int t = 0; t < threads; ++t)
        running.emplace_back(work, 1000u + static_cast<unsigned>(t));
    for (std::thread& thread : running)
        thread.join();
    handed_over.release();

    EXPECT_EQ(two_owners, 0);
    EXPECT_EQ(wrong_generation, 0);
    EXPECT_EQ(ring.count(SlotState::free), slots);
    std::uint64_t uses = 0;
    for (std::uint32_t slot = 0; slot < slots; ++slot)
        uses += ring.acquire_slot(slot, arrived)->generation();
    EXPECT_EQ(uses, leased);
    EXPECT_GT(leased, 0u);
}

} // namespace
} // namespace clearframe
