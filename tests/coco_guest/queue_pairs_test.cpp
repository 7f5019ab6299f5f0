// Connections of several queue pairs.
#include "coco_guest/connection.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>

namespace clearframe::guest {
namespace {

using ::testing::AnyOf;
using ::testing::Each;
using ::testing::HasSubstr;

// Frames of several writes, the last with the immediate: in order at the receiver and, for who
// sent them, though large and small ones are under way together.
void expect_order(Endpoint& from, Nic& from_nic, Endpoint& to, Nic& to_nic) {
    constexpr std::uint32_t frames = 120, pieces = 3;
    constexpr std::size_t large = 200'000;
    Buffers buffers;
    const RegisteredBuffer source = buffers.source(from_nic, large);
    std::vector<RegisteredBuffer> slots;
    for (int i = 0; i < 4; ++i)
        slots.push_back(buffers.target(to_nic, large));
    std::uint32_t posted = 0, received = 0, sent = 0;
    to.post_receives(4);
    while (received < frames || sent < frames) {
        while (posted < frames && posted < received + 4 && posted < sent + 4) {
            const std::size_t piece = (posted % 2 ? 30 : large) / pieces;
            std::vector<WriteRequest> requests;
            for (std::uint32_t i = 0; i < pieces; ++i) {
                requests.push_back(
                    write_request(posted, source, i * piece, piece, slots[posted % 4], i * piece));
                requests.back().signaled = i + 1 == pieces;
            }
            requests.back().immediate = posted;
            ASSERT_EQ(from.post(requests), pieces);
            ++posted;
        }
        ASSERT_EQ(to.wait(patience, 1), WaitResult::ready);
        std::array<Completion, 3> some;
        for (const Completion& got : std::span(some).first(to.poll(some))) {
            ASSERT_EQ(got.status, WcStatus::success);
            ASSERT_EQ(got.immediate, received);
            const std::size_t whole = (received % 2 ? 30 : large) / pieces * pieces;
            ASSERT_TRUE(
                same(slots[received % 4].bytes().first(whole), source.bytes().first(whole)));
            ++received;
            to.post_receives(1);
        }
        while (sent < received) {
            const Completion done = reap_one(from);
            ASSERT_EQ(done.status, WcStatus::success);
            ASSERT_EQ(done.wr_id, sent++);
        }
    }
}

TEST_F(ConnectionTest, OverSeveralQueuePairsTheOrderIsThatOfPosting) {
    for (const int number : {1, 2, 4, 8}) {
        SCOPED_TRACE(number);
        open(fmt::format(",qps={}", number));
        const Ends ends = connect(*near_, *far_);
        expect_order(*ends.far, *far_, *ends.near, *near_);
        expect_order(*ends.near, *near_, *ends.far, *far_);
        const EndpointPair within = near_->connect_within(in_flight);
        expect_order(*within.sender, *near_, *within.receiver, *near_);
    }
}

// As the receiver of a stream tells of free slots: few of them signaled.
TEST_F(ConnectionTest, OverSeveralQueuePairsTheQueueOfSilentMessagesDoesNotFill) {
    open(",qps=4");
    const Ends ends = connect(*near_, *far_);
    std::uint32_t sent = 0;
    for (std::uint32_t i = 0; i < 200; ++i) {
        ends.near->post_receives(1);
        WriteRequest request = message(i, i);
        request.signaled = i % 8 == 7; // always of the same queue pair
        post_one(*ends.far, request);
        EXPECT_EQ(reap_one(*ends.near).immediate, i);
        if (request.signaled) {
            EXPECT_EQ(reap_one(*ends.far).wr_id, i);
            ++sent;
        }
    }
    EXPECT_EQ(sent, 25u);
}

TEST_F(ConnectionTest, OverSeveralQueuePairsAFailureIsThatOfAll) {
    open(",qps=3");
    const Ends ends = connect(*near_, *far_);
    ends.near->post_receives(6);
    ends.far->post_receives(4);
    Buffers buffers;
    const RegisteredBuffer source = buffers.source(*far_, 4096);
    const RegisteredBuffer target = buffers.target(*near_, 4096);
    std::vector<WriteRequest> requests;
    for (std::uint32_t i = 0; i < 6; ++i)
        requests.push_back(write_request(i, source, 0, 100, target, 0, i));
    requests[2].rkey ^= 0x3333;
    EXPECT_EQ(ends.far->post(requests), 6u);
    std::vector<Completion> sends, receives;
    for (const Completion& done : reap(*ends.far, 10))
        (done.opcode == WcOpcode::rdma_write ? sends : receives).push_back(done);
    ASSERT_EQ(sends.size(), 6u);
    for (std::uint32_t i = 0; i < 6; ++i)
        EXPECT_EQ(sends[i].wr_id, i);
    // Those before may have been on their way yet; none after it has succeeded.
    const auto all = statuses(sends);
    const auto failed =
        std::ranges::find_if(all, [](WcStatus status) { return status != WcStatus::success; });
    EXPECT_LE(failed - all.begin(), 2);
    for (auto status = failed; status != all.end(); ++status)
        EXPECT_NE(*status, WcStatus::success);
    EXPECT_THAT(all[2], AnyOf(WcStatus::remote_access_error, WcStatus::flushed));
    EXPECT_THAT(statuses(receives), Each(WcStatus::flushed));
    EXPECT_THROW(ends.far->post_receives(1), Error);
}

TEST_F(ConnectionTest, AnotherNumberOfQueuePairsIsSaidToBeOne) {
    near_ = open_nic("verbs:device=rxe0,qps=4");
    far_ = open_nic("verbs:device=rxe0,qps=2");
    const auto listener = near_->listen();
    const ConnectionKey key = random_key();
    auto connecting = std::async(std::launch::async, [&] {
        return error_of([&] { far_->connect_to(listener->address(), key, in_flight, patient); });
    });
    Event over;
    auto accepting = std::async(std::launch::async, [&] {
        return error_of(
            [&] { listener->accept(key, in_flight, {.timeout = patience, .cancel = &over}); });
    });
    EXPECT_THAT(connecting.get(), HasSubstr("queue pairs (qps): ours 2, theirs 4"));
    over.signal();
    EXPECT_THAT(accepting.get(), HasSubstr("cancelled"));
}

} // namespace
} // namespace clearframe::guest
