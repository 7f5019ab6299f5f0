// What every NIC promises: waiting, and ends that go.
#include "contract/nic_contract.h"
#include "core/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace clearframe::test {
namespace {

using testing::ElementsAre;

TEST_P(NicContract, WaitTimesOut) {
    connect();
    EXPECT_EQ(sender().wait(0), WaitResult::timed_out);
    EXPECT_EQ(sender().wait(2'000'000), WaitResult::timed_out);
    EXPECT_EQ(sender().wait(-5), WaitResult::timed_out);
}

TEST_P(NicContract, WaitIsReadyUntilAllIsPolled) {
    connect();
    receiver().post_receives(2);
    post_one(sender(), message(1, 1));
    post_one(sender(), message(2, 2));
    reap(sender(), 2);
    std::vector<Completion> one(1);
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(receiver().wait(INT64_MAX), WaitResult::ready);
        EXPECT_EQ(receiver().wait(patience), WaitResult::ready);
        EXPECT_EQ(receiver().poll(one), 1u);
    }
    EXPECT_EQ(receiver().wait(0), WaitResult::timed_out);
}

TEST_P(NicContract, WaitingForSeveralNeverReturnsWithNone) {
    const RegisteredBuffer source = make_source(1 << 20);
    const RegisteredBuffer target = make_target(1 << 20);
    connect();
    for (std::uint32_t wanted = 1; wanted < 12; ++wanted) {
        std::vector<WriteRequest> requests;
        for (std::uint32_t i = 0; i < 8; ++i)
            requests.push_back(write_request(i, source, 0, 1 << 20, target, 0));
        EXPECT_EQ(sender().post(requests), 8u);
        std::vector<Completion> some(16);
        std::size_t done = 0;
        while (done < 8) {
            ASSERT_EQ(sender().wait(patience, wanted), WaitResult::ready);
            const std::size_t count = sender().poll(some);
            ASSERT_GE(count, 1u); // fewer than asked for: the NIC had nothing else to do
            done += count;
        }
        EXPECT_EQ(sender().wait(0, wanted), WaitResult::timed_out);
    }
}

TEST_P(NicContract, WaitingForMoreThanWillComeEndsWhenTheNicIsDone) {
    connect();
    receiver().post_receives(3);
    std::thread waiter([&] {
        std::size_t got = 0;
        std::vector<Completion> some(16);
        while (got < 3) {
            ASSERT_EQ(receiver().wait(patience, 10), WaitResult::ready);
            got += receiver().poll(some);
        }
    });
    for (std::uint32_t i = 0; i < 3; ++i)
        post_one(sender(), message(i, i));
    waiter.join();
}

TEST_P(NicContract, WaitingForSeveralEndsWhenWorkFails) {
    connect();
    sender().post_receives(2);
    post_one(sender(), message(1, 1)); // nobody is ready for it
    std::vector<Completion> some(16);
    std::size_t got = 0;
    while (got < 3) {
        ASSERT_EQ(sender().wait(patience, 1000), WaitResult::ready);
        got += sender().poll(some);
    }
    EXPECT_EQ(got, 3u);
}

TEST_P(NicContract, ASleeperIsWoken) {
    constexpr std::uint32_t rounds = 32;
    connect();
    sender().post_receives(rounds);
    receiver().post_receives(rounds);
    const auto tell = [](Endpoint& end, std::uint32_t number) {
        WriteRequest request = message(number, number);
        request.signaled = false;
        post_one(end, request);
    };
    std::thread sleeper([&] {
        for (std::uint32_t i = 0; i < rounds; ++i) {
            EXPECT_EQ(reap_one(receiver()).immediate, i);
            tell(receiver(), i);
        }
    });
    for (std::uint32_t i = 0; i < rounds; ++i) {
        tell(sender(), i);
        EXPECT_EQ(reap_one(sender()).immediate, i);
    }
    sleeper.join();
}

TEST_P(NicContract, WakeEndsOneWait) {
    connect();
    // Before it: the next wait, once, however often it was called.
    receiver().wake();
    receiver().wake();
    EXPECT_EQ(receiver().wait(patience), WaitResult::ready);
    std::vector<Completion> none(1);
    EXPECT_EQ(receiver().poll(none), 0u);
    EXPECT_EQ(receiver().wait(0), WaitResult::timed_out);
    EXPECT_EQ(sender().wait(0), WaitResult::timed_out); // the other end is another matter
    // During it, also if it is for several completions.
    for (const std::uint32_t at_least : {1u, 4u}) {
        std::atomic<bool> waiting{false};
        std::thread waiter([&] {
            waiting = true;
            EXPECT_EQ(receiver().wait(patience, at_least), WaitResult::ready);
        });
        while (!waiting)
            std::this_thread::yield();
        receiver().wake();
        waiter.join();
    }
    // It takes nothing away from what arrives.
    receiver().wake();
    receiver().post_receives(1);
    post_one(sender(), message(1, 17));
    EXPECT_EQ(reap_one(receiver()).immediate, 17u);
}

TEST_P(NicContract, NoWakeOfManyIsLost) {
    connect();
    constexpr int rounds = 2000;
    std::atomic<int> seen{0};
    std::thread waiter([&] {
        for (int i = 0; i < rounds; ++i) {
            if (receiver().wait(patience) != WaitResult::ready) {
                ADD_FAILURE() << "wake " << i << " did not end a wait";
                seen = rounds;
                return;
            }
            ++seen;
        }
    });
    for (int i = 0; i < rounds; ++i) {
        receiver().wake();
        while (seen <= i)
            std::this_thread::yield();
    }
    waiter.join();
}

TEST_P(NicContract, CancelIsStrongerThanWake) {
    connect();
    receiver().wake();
    receiver().cancel();
    EXPECT_EQ(receiver().wait(patience), WaitResult::cancelled);
    receiver().wake();
    EXPECT_EQ(receiver().wait(patience), WaitResult::cancelled);
}

TEST_P(NicContract, CancelEndsAWaitFromAnotherThread) {
    connect();
    std::atomic<bool> waiting{false};
    std::thread waiter([&] {
        waiting = true;
        EXPECT_EQ(receiver().wait(patience), WaitResult::cancelled);
    });
    while (!waiting)
        std::this_thread::yield();
    receiver().cancel();
    waiter.join();
    EXPECT_EQ(receiver().wait(patience), WaitResult::cancelled);
    EXPECT_EQ(sender().wait(0), WaitResult::timed_out); // the other end is another matter
    // Even with a completion there.
    receiver().post_receives(1);
    post_one(sender(), message(1, 1));
    reap_one(sender());
    EXPECT_EQ(receiver().wait(patience), WaitResult::cancelled);
}

TEST_P(NicContract, EndsMayGoWhileWorkIsInFlight) {
    constexpr std::size_t room = 4 << 20;
    const RegisteredBuffer source = make_source(room);
    const RegisteredBuffer target = make_target(room);
    for (int round = 0; round < 24; ++round) {
        SCOPED_TRACE(round);
        connect(32);
        receiver().post_receives(16);
        std::vector<WriteRequest> requests;
        for (std::uint32_t i = 0; i < 16; ++i)
            requests.push_back(write_request(i, source, 0, room, target, 0, i));
        EXPECT_EQ(sender().post(requests), 16u);
        if (round % 2)
            reap_one(sender());
        if (round % 3 == 0)
            ends_.sender.reset();
        if (round % 3 == 1)
            ends_.receiver.reset();
        ends_ = {};

        // Nothing moves any more: what is marked now stays, also when the NIC has done more work.
        std::vector<std::size_t> marks;
        for (std::size_t at = 64 * KB - 1; at < room; at += 64 * KB) {
            target.bytes()[at] = ~source.bytes()[at];
            marks.push_back(at);
        }
        connect();
        receiver().post_receives(1);
        post_one(sender(), message(1, 1));
        reap_one(sender());
        for (const std::size_t at : marks)
            EXPECT_EQ(target.bytes()[at], ~source.bytes()[at]) << "at " << at;
    }
}

TEST_P(NicContract, NothingIsWrittenForAnEndThatIsGone) {
    constexpr std::size_t room = 4 << 20;
    const RegisteredBuffer source = make_source(room);
    const RegisteredBuffer target = make_target(room);
    for (int round = 0; round < 20; ++round) {
        connect(16);
        target.bytes()[0] = ~source.bytes()[0];
        const std::vector<WriteRequest> requests(16, write_request(1, source, 0, room, target, 0));
        EXPECT_EQ(sender().post(requests), 16u);
        const Nanoseconds end = now() + patience;
        while (target.bytes()[0] != source.bytes()[0] && now() < end) // until it has begun
            std::this_thread::yield();
        ends_.receiver.reset();
        for (std::size_t at = 0; at < room; at += 16 * KB)
            target.bytes()[at] = ~source.bytes()[at];
        EXPECT_EQ(reap(sender(), 16).size(), 16u);
        for (std::size_t at = 0; at < room; at += 16 * KB)
            EXPECT_EQ(target.bytes()[at], ~source.bytes()[at]) << "at " << at;
    }
}

TEST_P(NicContract, AWriteThatIsCutShortIsNoSuccess) {
    constexpr std::size_t room = 8 << 20;
    const RegisteredBuffer source = make_source(room);
    const RegisteredBuffer target = make_target(room);
    for (int round = 0; round < 10; ++round) {
        connect();
        std::ranges::fill(target.bytes(), std::byte{0});
        receiver().post_receives(1);
        post_one(sender(), write_request(1, source, 0, room, target, 0, 1));
        const Nanoseconds end = now() + patience;
        while (target.bytes()[0] != source.bytes()[0] && now() < end) // until it has begun
            std::this_thread::yield();
        ends_.receiver.reset();
        const WcStatus status = reap_one(sender()).status;
        if (status == WcStatus::success)
            EXPECT_TRUE(same(source.bytes(), target.bytes()));
        else
            EXPECT_THAT(status, fails_with(WcStatus::retry_exceeded));
    }
}

TEST_P(NicContract, WritesToAnEndThatIsGoneFail) {
    const RegisteredBuffer source = make_source(4 * KB);
    const RegisteredBuffer target = make_target(4 * KB);
    for (const std::uint32_t receives : {0, 2}) {
        connect();
        receiver().post_receives(receives);
        ends_.receiver.reset();
        const WriteRequest requests[] = {write_request(1, source, 0, 100, target, 0, 1),
                                         write_request(2, source, 0, 100, target, 0, 1)};
        EXPECT_EQ(sender().post(requests), 2u);
        EXPECT_THAT(statuses(reap(sender(), 2)),
                    ElementsAre(fails_with(WcStatus::retry_exceeded), WcStatus::flushed));
        EXPECT_TRUE(all_are(target.bytes(), std::byte{0}));
    }
}

TEST_P(NicContract, AReceiverLearnsThatTheOtherEndIsGone) {
    connect();
    receiver().post_receives(2);
    post_one(sender(), message(1, 5));
    reap_one(sender());
    ends_.sender.reset();
    const auto all = reap(receiver(), 2);
    EXPECT_THAT(statuses(all), ElementsAre(WcStatus::success, WcStatus::flushed));
    EXPECT_EQ(all[0].immediate, 5u);
}

} // namespace
} // namespace clearframe::test
