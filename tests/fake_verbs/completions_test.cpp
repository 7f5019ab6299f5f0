// Completions that lie. In a confidential guest the queue lies in memory that the host writes, and
// what is in it is believed as far as it fits what was posted.
#include "fake_verbs/machine.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>

namespace clearframe::fake {
namespace {

using test::message;
using test::post_one;
using test::reap;
using test::reap_one;
using ::testing::HasSubstr;

class Completions : public FakeVerbsTest {
protected:
    void SetUp() override {
        FakeVerbsTest::SetUp();
        connect("device=fake0");
    }
    void TearDown() override {
        ends_ = {};
        nic_.reset();
        FakeVerbsTest::TearDown();
    }

    void connect(std::string_view options) {
        ends_ = {};
        nic_ = machine_.open(options);
        ends_ = nic_->connect_within(16);
    }

    // Two messages are sent; of what the polls of them hand out, `lie` tells something else.
    // Returns what the sender, and then the receiver, says of it.
    std::string told(FakeVerbs::Lie lie) {
        ends_.receiver->post_receives(2);
        const std::vector<WriteRequest> both = {message(1, 11), message(2, 22)};
        EXPECT_EQ(ends_.sender->post(both), 2u);
        verbs().lie(std::move(lie));
        std::string all = error_of([&] { drain(*ends_.sender); });
        all += error_of([&] { drain(*ends_.receiver); });
        verbs().lie(nullptr);
        return all;
    }
    static void drain(Endpoint& end) {
        std::vector<Completion> some(8);
        while (end.wait(0) == WaitResult::ready)
            end.poll(some);
    }

    std::unique_ptr<Nic> nic_;
    EndpointPair ends_;
};

// Writes what is no value of the enumeration.
template <typename Enumeration>
void put(Enumeration& field, std::uint32_t number) {
    static_assert(sizeof field == sizeof number);
    std::memcpy(&field, &number, sizeof number);
}

// A lie about each completion of a kind.
template <typename Change>
FakeVerbs::Lie about(ibv_wc_opcode opcode, Change change) {
    return [=](std::vector<ibv_wc>& completions, int count) {
        for (int i = 0; i < count; ++i)
            if (ibv_wc& one = completions[static_cast<std::size_t>(i)]; one.opcode == opcode)
                change(one);
        return count;
    };
}
constexpr ibv_wc_opcode write = IBV_WC_RDMA_WRITE;
constexpr ibv_wc_opcode received = IBV_WC_RECV_RDMA_WITH_IMM;

TEST_F(Completions, TrueOnesAreBelieved) {
    EXPECT_EQ(told([](std::vector<ibv_wc>&, int count) { return count; }), "");
}

TEST_F(Completions, OfAnotherQueuePair) {
    EXPECT_THAT(told(about(write, [](ibv_wc& one) { one.qp_num = 0xbad; })),
                HasSubstr("on a queue pair of somebody else (0xbad)"));
    connect("");
    EXPECT_THAT(told(about(received, [](ibv_wc& one) { one.qp_num = 0xbad; })),
                HasSubstr("on a queue pair of somebody else (0xbad)"));
}

TEST_F(Completions, OfWorkThatWasNeverPosted) {
    for (const std::uint64_t wr_id :
         {std::uint64_t{2}, std::uint64_t{16}, ~std::uint64_t{0} >> 1, ~std::uint64_t{0}}) {
        connect("");
        EXPECT_THAT(told(about(write, [=](ibv_wc& one) { one.wr_id = wr_id; })),
                    HasSubstr("not under way"))
            << wr_id;
    }
}

TEST_F(Completions, OfOneThingTwice) {
    EXPECT_THAT(told(about(write, [](ibv_wc& one) { one.wr_id = 0; })), HasSubstr("not under way"));
}

TEST_F(Completions, OfTheSecondBeforeTheFirst) {
    EXPECT_THAT(told(about(write, [](ibv_wc& one) { one.wr_id = 1 - one.wr_id; })),
                HasSubstr("out of order"));
}

TEST_F(Completions, OfASendThatIsAReceive) {
    const std::string all =
        told(about(write, [](ibv_wc& one) { one.wr_id = std::uint64_t{1} << 63; }));
    EXPECT_THAT(all, HasSubstr("a receive completed that nobody has posted"));
}

TEST_F(Completions, OfWorkThatWasNotToBeToldOf) {
    ends_.receiver->post_receives(2);
    std::vector<WriteRequest> both = {message(1, 11), message(2, 22)};
    both[0].signaled = false;
    EXPECT_EQ(ends_.sender->post(both), 2u);
    verbs().lie(about(write, [](ibv_wc& one) { one.wr_id = 0; }));
    EXPECT_THAT(error_of([&] { drain(*ends_.sender); }), HasSubstr("was not asked for"));
}

TEST_F(Completions, OfReceivesThatNobodyPosted) {
    const std::string all = told([](std::vector<ibv_wc>& completions, int count) {
        if (count == 0 || completions[0].opcode != received)
            return count;
        std::fill(completions.begin(), completions.end(), completions[0]);
        return static_cast<int>(completions.size());
    });
    EXPECT_THAT(all, HasSubstr("a receive completed that nobody has posted"));
}

TEST_F(Completions, OfReceivesOfAnotherKind) {
    EXPECT_THAT(told(about(received, [](ibv_wc& one) { one.opcode = IBV_WC_RECV; })),
                HasSubstr("something else than a write with immediate (opcode 128)"));
    connect("");
    EXPECT_THAT(told(about(received, [](ibv_wc& one) { put(one.opcode, 0x7777); })),
                HasSubstr("something else than a write with immediate (opcode 30583)"));
    connect("");
    EXPECT_THAT(told(about(received, [](ibv_wc& one) { one.wc_flags = 0; })),
                HasSubstr("something else than a write with immediate"));
}

TEST_F(Completions, MoreThanWereAskedFor) {
    EXPECT_THAT(told([](std::vector<ibv_wc>& completions, int) {
                    return static_cast<int>(completions.size()) + 1;
                }),
                HasSubstr("ibv_poll_cq: EPROTO"));
}

TEST_F(Completions, FewerThanNone) {
    EXPECT_THAT(told([](std::vector<ibv_wc>&, int) { return -EINVAL; }),
                HasSubstr("ibv_poll_cq: EINVAL"));
}

TEST_F(Completions, OfAnUnknownStatusAreFailures) {
    ends_.receiver->post_receives(1);
    post_one(*ends_.sender, message(1, 1));
    verbs().lie(about(write, [](ibv_wc& one) { put(one.status, 999); }));
    EXPECT_EQ(reap_one(*ends_.sender).status, WcStatus::general_error);
}

// Of a failed one only the status counts.
TEST_F(Completions, OfFailedReceivesNothingElseIsBelieved) {
    ends_.receiver->post_receives(1);
    post_one(*ends_.sender, message(1, 1));
    verbs().lie(about(received, [](ibv_wc& one) {
        one.status = IBV_WC_LOC_LEN_ERR;
        one.byte_len = 0xffffffff;
        one.imm_data = 0xffffffff;
        put(one.opcode, 0x7777);
    }));
    const Completion failed = reap_one(*ends_.receiver);
    EXPECT_EQ(failed.status, WcStatus::local_length_error);
    EXPECT_EQ(failed.byte_len, 0u);
    EXPECT_EQ(failed.immediate, 0u);
}

// Over several queue pairs: each has its own order, and its own work.
TEST_F(Completions, OfAnotherQueuePairsWork) {
    connect("qps=2");
    const std::string all = told([](std::vector<ibv_wc>& completions, int count) {
        if (count == 2)
            std::swap(completions[0].qp_num, completions[1].qp_num);
        return count;
    });
    EXPECT_THAT(all, HasSubstr("not under way"));
}

} // namespace
} // namespace clearframe::fake
