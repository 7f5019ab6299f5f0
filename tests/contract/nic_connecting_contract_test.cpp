// What every NIC promises: connecting to a NIC of another process.
#include "contract/nic_contract.h"
#include "core/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace clearframe::test {
namespace {

using testing::HasSubstr;

class NicConnecting : public testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        nic_ = open_nic(GetParam());
        far_nic_ = open_nic(GetParam());
        listener_ = far_nic_->listen();
    }

    std::unique_ptr<Endpoint> connect(const ConnectionKey& key, const Patience& limit) {
        return nic_->connect_to(listener_->address(), key, 16, limit);
    }

    // What the Error says that `call` throws.
    template <typename Call>
    std::string error_of(Call call) {
        try {
            call();
        } catch (const Error& error) {
            EXPECT_EQ(error.failure(), Failure::run);
            return error.what();
        }
        ADD_FAILURE() << "no Error";
        return {};
    }

    const ConnectionKey key_ = random_key();
    const Patience patient_{.timeout = patience};
    Buffers buffers_;
    std::unique_ptr<Nic> nic_, far_nic_;
    std::unique_ptr<Listener> listener_;
};

void expect_talking(Endpoint& a, Endpoint& b) {
    for (const auto& [from, to] : {std::pair(&a, &b), std::pair(&b, &a)}) {
        to->post_receives(1);
        post_one(*from, message(3, 33));
        EXPECT_EQ(reap_one(*to).immediate, 33u);
        EXPECT_EQ(reap_one(*from).status, WcStatus::success);
    }
}

TEST_P(NicConnecting, AnAddressCanBeToldToThePeer) {
    const auto second = far_nic_->listen();
    for (const Listener* listener : {listener_.get(), second.get()}) {
        EXPECT_FALSE(listener->address().empty());
        EXPECT_LE(listener->address().size(), 63u);
        EXPECT_TRUE(
            std::ranges::all_of(listener->address(), [](char c) { return c > ' ' && c < 127; }));
    }
    EXPECT_NE(listener_->address(), second->address());
}

TEST_P(NicConnecting, PeersComeOneAfterTheOther) {
    for (int i = 0; i < 5; ++i) {
        Accepting accepting(*listener_, key_);
        const auto near = connect(key_, patient_);
        const auto far = accepting.get();
        expect_talking(*near, *far);
    }
}

TEST_P(NicConnecting, SeveralConnectionsAtOnceDoNotMix) {
    std::vector<EndpointPair> pairs;
    for (int i = 0; i < 4; ++i) {
        const ConnectionKey key = random_key();
        Accepting accepting(*listener_, key);
        pairs.push_back({});
        pairs.back().sender = connect(key, patient_);
        pairs.back().receiver = accepting.get();
    }
    for (std::uint32_t i = 0; i < 4; ++i) {
        pairs[i].receiver->post_receives(1);
        post_one(*pairs[i].sender, message(i, 100 + i));
    }
    for (std::uint32_t i = 0; i < 4; ++i) {
        EXPECT_EQ(reap_one(*pairs[i].receiver).immediate, 100 + i);
        EXPECT_EQ(reap_one(*pairs[i].sender).wr_id, i);
    }
    pairs.erase(pairs.begin() + 1);
    for (const EndpointPair& pair : pairs)
        expect_talking(*pair.sender, *pair.receiver);
}

TEST_P(NicConnecting, ANicConnectsToItself) {
    const EndpointPair ends = connect_listed(*nic_, *nic_, 16);
    expect_talking(*ends.sender, *ends.receiver);
}

TEST_P(NicConnecting, AListenerMayGoBeforeItsConnections) {
    Accepting accepting(*listener_, key_);
    const auto near = connect(key_, patient_);
    const auto far = accepting.get();
    listener_.reset();
    expect_talking(*near, *far);
}

TEST_P(NicConnecting, AConnectionReachesNoMemoryOfOthers) {
    const RegisteredBuffer source = buffers_.source(*nic_, 4 * KB);
    const RegisteredBuffer own = buffers_.target(*nic_, 4 * KB);
    const RegisteredBuffer target = buffers_.target(*far_nic_, 4 * KB);
    // Its own memory is not the peer's, and the peer's is not that of a connection within the NIC.
    const EndpointPair listed = connect_listed(*nic_, *far_nic_, 16);
    post_one(*listed.sender, write_request(1, source, 0, 100, own, 0));
    EXPECT_EQ(reap_one(*listed.sender).status, WcStatus::remote_access_error);
    const EndpointPair again = connect_listed(*nic_, *far_nic_, 16);
    const EndpointPair within = nic_->connect_within(16);
    post_one(*within.sender, write_request(1, source, 0, 100, target, 0));
    EXPECT_EQ(reap_one(*within.sender).status, WcStatus::remote_access_error);
    EXPECT_TRUE(all_are(own.bytes(), std::byte{0}));
    EXPECT_TRUE(all_are(target.bytes(), std::byte{0}));
}

TEST_P(NicConnecting, MuchMemoryCanBeShown) {
    const RegisteredBuffer source = buffers_.source(*nic_, 4 * KB);
    std::vector<RegisteredBuffer> targets;
    for (int i = 0; i < 100; ++i)
        targets.push_back(buffers_.target(*far_nic_, 4 * KB));
    const EndpointPair ends = connect_listed(*nic_, *far_nic_, 100);
    for (const RegisteredBuffer& target : targets)
        post_one(*ends.sender, write_request(1, source, 0, 4 * KB, target, 0));
    for (const Completion& completion : reap(*ends.sender, targets.size()))
        EXPECT_EQ(completion.status, WcStatus::success);
    for (const RegisteredBuffer& target : targets)
        EXPECT_TRUE(same(source.bytes(), target.bytes()));
}

TEST_P(NicConnecting, AWrongKeyIsTurnedAwayAndDoesNotEndTheWait) {
    Accepting accepting(*listener_, key_);
    ConnectionKey wrong = key_;
    wrong.back() ^= std::byte{1};
    for (int i = 0; i < 20; ++i)
        EXPECT_THAT(error_of([&] { connect(wrong, patient_); }), HasSubstr("turned away"));
    const auto near = connect(key_, patient_);
    const auto far = accepting.get();
    expect_talking(*near, *far);
}

TEST_P(NicConnecting, WaitingForAPeerTimesOut) {
    EXPECT_THAT(error_of([&] { listener_->accept(key_, 16, {.timeout = 0}); }),
                HasSubstr("timed out"));
    EXPECT_THAT(error_of([&] { listener_->accept(key_, 16, {.timeout = 3'000'000}); }),
                HasSubstr("timed out"));
}

TEST_P(NicConnecting, WaitingForAPeerIsCancelled) {
    Event cancel;
    std::thread other([&] { cancel.signal(); });
    EXPECT_THAT(
        error_of([&] { listener_->accept(key_, 16, {.timeout = INT64_MAX, .cancel = &cancel}); }),
        HasSubstr("cancelled"));
    other.join();
    EXPECT_THAT(error_of([&] { connect(key_, {.timeout = patience, .cancel = &cancel}); }),
                HasSubstr("cancelled"));
}

TEST_P(NicConnecting, NobodyThereIsAnError) {
    const std::string address = listener_->address();
    listener_.reset();
    EXPECT_THAT(error_of([&] { nic_->connect_to(address, key_, 16, patient_); }),
                HasSubstr(address));
    for (const char* nonsense : {"", "@", "nothing", "10.0.0.1", "@clearframe-1234"})
        error_of([&] { nic_->connect_to(nonsense, key_, 16, patient_); });
}

TEST_P(NicConnecting, AConnectionWithoutRoomMakesNoSense) {
    for (const std::uint32_t in_flight : {0u, 0xffffffffu}) {
        EXPECT_THROW(listener_->accept(key_, in_flight, patient_), Error);
        EXPECT_THROW(nic_->connect_to(listener_->address(), key_, in_flight, patient_), Error);
    }
}

TEST_P(NicConnecting, WhoListensAndDoesNotAnswerIsWaitedForNoLonger) {
    EXPECT_THAT(error_of([&] { connect(key_, {.timeout = 3'000'000}); }), HasSubstr("timed out"));
    // Its hello lies there still: it must not be taken for a peer that is there.
    Accepting accepting(*listener_, random_key());
    EXPECT_THAT(error_of([&] { connect(key_, patient_); }), HasSubstr("turned away"));
    accepting.cancel();
    EXPECT_THAT(error_of([&] { accepting.get(); }), HasSubstr("cancelled"));
}

// What the verbs NIC promises of connecting is in coco_guest/connection_test.cpp: its regions are
// the device's, not a connection's, and its errors name librdmacm.
INSTANTIATE_TEST_SUITE_P(Nics, NicConnecting,
                         testing::Values("emulated", "emulated:rate=200Gbps,latency=20us"),
                         [](const auto& test) { return "Nic" + std::to_string(test.index); });

} // namespace
} // namespace clearframe::test
