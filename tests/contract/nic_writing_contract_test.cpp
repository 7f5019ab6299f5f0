// What every NIC promises: writing.
#include "contract/nic_contract.h"
#include "core/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

namespace clearframe::test {
namespace {

TEST_P(NicContract, DataArrivesWholeAndNowhereElse) {
    constexpr std::size_t room = 3'000'000;
    const RegisteredBuffer source = make_source(room);
    const RegisteredBuffer target = make_target(room);
    connect();
    std::uint32_t number = 0;
    for (const std::size_t length :
         {std::size_t{1}, std::size_t{3}, std::size_t{64}, std::size_t{4095}, 4 * KB, 256 * KB - 1,
          256 * KB, 256 * KB + 1, std::size_t{2'500'001}})
        for (const std::size_t shift : {0, 1, 4096, 12345}) {
            SCOPED_TRACE(testing::Message() << length << " bytes, shift " << shift);
            std::ranges::fill(target.bytes(), std::byte{0xee});
            receiver().post_receives(1);
            post_one(sender(),
                     write_request(7, source, shift, length, target, 2 * shift, ++number));

            const Completion received = reap_one(receiver());
            EXPECT_EQ(received.status, WcStatus::success);
            EXPECT_EQ(received.opcode, WcOpcode::receive_with_immediate);
            EXPECT_EQ(received.wr_id, 0u);
            EXPECT_EQ(received.byte_len, length);
            EXPECT_EQ(received.immediate, number);
            const std::span<std::byte> bytes = target.bytes();
            EXPECT_TRUE(
                same(bytes.subspan(2 * shift, length), source.bytes().subspan(shift, length)));
            EXPECT_TRUE(all_are(bytes.first(2 * shift), std::byte{0xee}));
            EXPECT_TRUE(all_are(bytes.subspan(2 * shift + length), std::byte{0xee}));

            const Completion sent = reap_one(sender());
            EXPECT_EQ(sent.status, WcStatus::success);
            EXPECT_EQ(sent.opcode, WcOpcode::rdma_write);
            EXPECT_EQ(sent.wr_id, 7u);
        }
}

TEST_P(NicContract, AWholeBufferCanBeWritten) {
    const RegisteredBuffer source = make_source(64 * KB);
    const RegisteredBuffer target = make_target(64 * KB);
    connect();
    post_one(sender(), write_request(1, source, 0, 64 * KB, target, 0));
    EXPECT_EQ(reap_one(sender()).status, WcStatus::success);
    EXPECT_TRUE(same(source.bytes(), target.bytes()));
}

TEST_P(NicContract, AMessageNeedsNoMemory) {
    connect();
    receiver().post_receives(1);
    post_one(sender(), message(5, 0xdeadbeef));
    const Completion received = reap_one(receiver());
    EXPECT_EQ(received.status, WcStatus::success);
    EXPECT_EQ(received.byte_len, 0u);
    EXPECT_EQ(received.immediate, 0xdeadbeef);
    EXPECT_EQ(reap_one(sender()).wr_id, 5u);
}

TEST_P(NicContract, AWriteWithoutImmediateTellsTheReceiverNothing) {
    const RegisteredBuffer source = make_source(4 * KB);
    const RegisteredBuffer target = make_target(4 * KB);
    connect();
    receiver().post_receives(1);
    post_one(sender(), write_request(1, source, 0, 100, target, 0));
    post_one(sender(), message(2, 77));
    EXPECT_EQ(reap_one(receiver()).immediate, 77u);
    EXPECT_EQ(receiver().wait(0), WaitResult::timed_out);
}

TEST_P(NicContract, CompletionsComeInTheOrderOfPosting) {
    constexpr std::uint32_t count = 200;
    const RegisteredBuffer source = make_source(300 * KB);
    const RegisteredBuffer target = make_target(300 * KB);
    connect(count);
    receiver().post_receives(count);
    std::vector<WriteRequest> requests;
    for (std::uint32_t i = 0; i < count; ++i)
        requests.push_back(
            write_request(1000 + i, source, 0, (i * 7919) % (300 * KB), target, 0, i));
    EXPECT_EQ(sender().post(requests), count);
    const auto sent = reap(sender(), count);
    const auto received = reap(receiver(), count);
    ASSERT_EQ(sent.size(), count);
    ASSERT_EQ(received.size(), count);
    for (std::uint32_t i = 0; i < count; ++i) {
        EXPECT_EQ(sent[i].wr_id, 1000 + i);
        EXPECT_EQ(sent[i].status, WcStatus::success);
        EXPECT_EQ(received[i].immediate, i);
        EXPECT_EQ(received[i].byte_len, requests[i].length);
    }
}

TEST_P(NicContract, CompletionsSayWhenTheyWereOrNothing) {
    const RegisteredBuffer source = make_source(300 * KB);
    const RegisteredBuffer target = make_target(300 * KB);
    connect();
    receiver().post_receives(1);
    const Nanoseconds posted = now();
    post_one(sender(), write_request(1, source, 0, 300 * KB, target, 0, 1));
    for (Endpoint* end : {&sender(), &receiver()}) {
        const Completion completion = reap_one(*end);
        if (completion.time != 0) {
            EXPECT_GE(completion.time, posted);
            EXPECT_LE(completion.time, now());
        }
    }
}

TEST_P(NicContract, BothEndsCanWrite) {
    connect();
    sender().post_receives(1);
    receiver().post_receives(1);
    post_one(sender(), message(1, 10));
    post_one(receiver(), message(2, 20));
    for (Endpoint* const end : {&sender(), &receiver()}) {
        auto both = reap(*end, 2);
        ASSERT_EQ(both.size(), 2u);
        if (both[0].opcode != WcOpcode::rdma_write)
            std::swap(both[0], both[1]);
        EXPECT_EQ(both[0].wr_id, end == &sender() ? 1u : 2u);
        EXPECT_EQ(both[1].immediate, end == &sender() ? 20u : 10u);
    }
}

TEST_P(NicContract, ConnectionsDoNotMix) {
    connect();
    const EndpointPair other = connect_another(8);
    receiver().post_receives(1);
    other.receiver->post_receives(1);
    post_one(*other.sender, message(1, 111));
    post_one(sender(), message(2, 222));
    EXPECT_EQ(reap_one(receiver()).immediate, 222u);
    EXPECT_EQ(reap_one(*other.receiver).immediate, 111u);
    EXPECT_EQ(reap_one(sender()).wr_id, 2u);
    EXPECT_EQ(reap_one(*other.sender).wr_id, 1u);
}

// All at once. -----------------------------------------------------------------------------------

// One end of a connection on a thread of its own: posts writes at random, checks what the other
// end's writes tell it, and keeps a model of what its writes must have made of the target.
class RandomEnd {
public:
    RandomEnd(Endpoint& endpoint, const RegisteredBuffer& source, const RegisteredBuffer& target,
              unsigned seed)
        : endpoint_(endpoint),
          source_(source),
          target_(target),
          random_(seed),
          model_(target.bytes().begin(), target.bytes().end()) {}

    void set_peer(RandomEnd& peer) { peer_ = &peer; }

    void run(std::uint32_t writes) {
        give(endpoint_.limits().receive_queue / 2);
        std::uint32_t posted = 0;
        while (!testing::Test::HasFailure() &&
               (posted < writes || !waiting_for_.empty() || !peer_->finished_ || !caught_up())) {
            for (std::uint32_t batch = below(8); batch > 0 && posted < writes; --batch)
                if (!post(posted, posted + 1 == writes))
                    break;
                else
                    ++posted;
            if (posted == writes)
                finished_ = true;
            // Short: what the other end still has to allow wakes nobody.
            endpoint_.wait(1'000'000);
            take();
        }
    }

    void check_target() const {
        EXPECT_TRUE(same(target_.bytes(), model_));
        EXPECT_EQ(received_, peer_->told_);
    }

private:
    static constexpr std::size_t most = 300 * KB;

    std::uint32_t below(std::size_t bound) { return static_cast<std::uint32_t>(random_() % bound); }
    bool caught_up() const { return received_ == peer_->told_; }

    void give(std::uint32_t receives) {
        endpoint_.post_receives(receives);
        given_ += receives;
    }

    bool post(std::uint32_t number, bool last) {
        const std::size_t size = target_.bytes().size();
        const std::size_t length = below(4) == 0 ? below(100) : below(most);
        const std::size_t from = below(size - length), to = below(size - length);
        WriteRequest request = write_request(number, source_, from, length, target_, to);
        // Every 16th at least has a completion, so that the queue cannot fill up with silence.
        request.signaled = last || number % 16 == 0 || below(2) == 0;
        if (below(3) > 0 && told_ < peer_->given_)
            request.immediate = static_cast<std::uint32_t>(told_);
        if (request.immediate)
            peer_->lengths_[told_ % std::size(lengths_)] = request.length;
        if (endpoint_.post({&request, 1}) == 0)
            return false;
        std::copy_n(source_.bytes().begin() + static_cast<std::ptrdiff_t>(from), length,
                    model_.begin() + static_cast<std::ptrdiff_t>(to));
        if (request.immediate)
            ++told_;
        if (request.signaled)
            waiting_for_.push_back(number);
        return true;
    }

    void take() {
        Completion completions[5];
        while (const std::size_t count = endpoint_.poll(completions)) {
            for (const Completion& completion : std::span(completions).first(count)) {
                ASSERT_EQ(completion.status, WcStatus::success);
                if (completion.opcode == WcOpcode::rdma_write) {
                    ASSERT_FALSE(waiting_for_.empty());
                    ASSERT_EQ(completion.wr_id, waiting_for_.front());
                    waiting_for_.erase(waiting_for_.begin());
                } else {
                    ASSERT_EQ(completion.immediate, received_);
                    ASSERT_EQ(completion.byte_len, lengths_[received_ % std::size(lengths_)]);
                    ++received_;
                    give(1);
                }
            }
        }
    }

    Endpoint& endpoint_;
    const RegisteredBuffer& source_;
    const RegisteredBuffer& target_;
    std::mt19937 random_;
    RandomEnd* peer_ = nullptr;
    std::vector<std::byte> model_;
    std::vector<std::uint64_t> waiting_for_; // signaled writes, in order
    std::uint64_t received_ = 0;
    std::atomic<std::uint64_t> told_{0};        // immediates sent
    std::atomic<std::uint64_t> given_{0};       // receives posted
    std::atomic<std::uint32_t> lengths_[256]{}; // of the peer's writes, by immediate
    std::atomic<bool> finished_{false};
};

TEST_P(NicContract, TwoDirectionsOfRandomWrites) {
    constexpr std::size_t room = 2 << 20;
    constexpr std::uint32_t writes = 1500;
    const RegisteredBuffer sources[] = {make_source(room), buffers_.source(far_nic(), room)};
    const RegisteredBuffer targets[] = {make_target(room), buffers_.target(*nic_, room)};
    connect(48);
    RandomEnd a(sender(), sources[0], targets[0], 1), b(receiver(), sources[1], targets[1], 2);
    a.set_peer(b);
    b.set_peer(a);
    std::thread other([&] { b.run(writes); });
    a.run(writes);
    other.join();
    a.check_target();
    b.check_target();
}

} // namespace
} // namespace clearframe::test
