// Who answers at the other end of a connection, and does not as it should.
#include "fake_verbs/machine.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace clearframe::fake {
namespace {

using test::message;
using test::post_one;
using test::reap_one;
using ::testing::AllOf;
using ::testing::HasSubstr;

class Peers : public FakeVerbsTest {
protected:
    void SetUp() override {
        FakeVerbsTest::SetUp();
        nic_ = machine_.open("device=fake0");
    }
    void TearDown() override {
        nic_.reset();
        FakeVerbsTest::TearDown();
    }

    EndpointPair connect() { return test::connect_listed(*nic_, *nic_, 16); }

    // What is said of a peer whose events of a kind are tampered with.
    std::string error_of_connecting(rdma_cm_event_type type, auto change) {
        verbs().tamper([=](rdma_cm_event& event, std::vector<std::byte>& data) {
            if (event.event == type)
                change(event, data);
        });
        const std::string error = error_of([&] { connect(); });
        verbs().tamper(nullptr);
        return error;
    }

    std::unique_ptr<Nic> nic_;
};

using Data = std::vector<std::byte>;

TEST_F(Peers, WhoAnswersNonsenseIsNoPeer) {
    const auto answered = [&](auto change) {
        EXPECT_THAT(error_of_connecting(RDMA_CM_EVENT_CONNECT_RESPONSE, change),
                    HasSubstr("its answer makes no sense"));
    };
    answered([](rdma_cm_event&, Data& data) { data.clear(); });
    answered([](rdma_cm_event&, Data& data) { data.pop_back(); });
    answered([](rdma_cm_event&, Data& data) { std::ranges::fill(data, std::byte{0}); });
    answered([](rdma_cm_event&, Data& data) { std::ranges::fill(data, std::byte{0xff}); });
    answered([](rdma_cm_event& event, Data&) { event.param.conn.qp_num ^= 1; });
}

TEST_F(Peers, WhatComesInsteadOfAnAnswerIsSaid) {
    EXPECT_THAT(
        error_of_connecting(RDMA_CM_EVENT_CONNECT_RESPONSE,
                            [](rdma_cm_event& event, Data&) {
                                event.event = RDMA_CM_EVENT_UNREACHABLE;
                                event.status = -ETIMEDOUT;
                            }),
        AllOf(HasSubstr("RDMA_CM_EVENT_UNREACHABLE"), HasSubstr("ETIMEDOUT"), HasSubstr("ping")));
    EXPECT_THAT(error_of_connecting(RDMA_CM_EVENT_ROUTE_RESOLVED,
                                    [](rdma_cm_event& event, Data&) {
                                        event.event = RDMA_CM_EVENT_ROUTE_ERROR;
                                        event.status = -EHOSTUNREACH;
                                    }),
                AllOf(HasSubstr("RDMA_CM_EVENT_ROUTE_ERROR"), HasSubstr("EHOSTUNREACH")));
    EXPECT_THAT(error_of_connecting(RDMA_CM_EVENT_ADDR_RESOLVED,
                                    [](rdma_cm_event& event, Data&) {
                                        event.event = RDMA_CM_EVENT_ADDR_ERROR;
                                        event.status = -ENODEV;
                                    }),
                AllOf(HasSubstr("RDMA_CM_EVENT_ADDR_ERROR"), HasSubstr("ENODEV")));
    EXPECT_THAT(error_of_connecting(RDMA_CM_EVENT_CONNECT_RESPONSE,
                                    [](rdma_cm_event& event, Data&) {
                                        event.event = RDMA_CM_EVENT_DEVICE_REMOVAL;
                                    }),
                HasSubstr("RDMA_CM_EVENT_DEVICE_REMOVAL"));
}

// A neighbour's answer may be missed: the address is asked for again.
TEST_F(Peers, AnAddressThatIsNotResolvedInTimeIsAskedForAgain) {
    int missed = 3;
    verbs().tamper([&](rdma_cm_event& event, Data&) {
        if (event.event == RDMA_CM_EVENT_ADDR_RESOLVED && missed-- > 0) {
            event.event = RDMA_CM_EVENT_ADDR_ERROR;
            event.status = -ETIMEDOUT;
        }
    });
    const EndpointPair ends = connect();
    verbs().tamper(nullptr);
    EXPECT_LE(missed, 0);
    ends.receiver->post_receives(1);
    post_one(*ends.sender, message(1, 5));
    EXPECT_EQ(reap_one(*ends.receiver).immediate, 5u);
}

TEST_F(Peers, WhenTheDeviceGoesBothEndsSaySo) {
    for (const char* const options : {"", "wait=poll"}) {
        const auto nic = machine_.open(options);
        EndpointPair ends = test::connect_listed(*nic, *nic, 16);
        // What tells of a peer that goes tells of the device instead.
        verbs().tamper([](rdma_cm_event& event, Data&) {
            if (event.event == RDMA_CM_EVENT_DISCONNECTED)
                event.event = RDMA_CM_EVENT_DEVICE_REMOVAL;
        });
        ends.receiver.reset();
        EXPECT_THAT(error_of([&] { ends.sender->wait(test::patience); }),
                    AllOf(HasSubstr("NIC fake0: it has gone"), HasSubstr("dmesg")));
        verbs().tamper(nullptr);
    }
}

} // namespace
} // namespace clearframe::fake
