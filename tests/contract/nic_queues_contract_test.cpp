// What every NIC promises: queues, and what goes wrong with the work in them.
#include "contract/nic_contract.h"
#include "core/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace clearframe::test {
namespace {

using testing::ElementsAre;

// Queues. ----------------------------------------------------------------------------------------

TEST_P(NicContract, QueuesAreAsDeepAsAskedFor) {
    connect(100);
    for (const Endpoint* const end : {&sender(), &receiver()}) {
        EXPECT_GE(end->limits().send_queue, 100u);
        EXPECT_GE(end->limits().receive_queue, 100u);
        EXPECT_GE(end->limits().max_message, is_emulated() ? 16u << 20 : 1u << 20);
    }
}

TEST_P(NicContract, AConnectionWithoutRoomMakesNoSense) {
    EXPECT_THROW(connect(0), Error);
    EXPECT_THROW(connect(0xffffffff), Error);
}

TEST_P(NicContract, AFullSendQueueTakesFewer) {
    connect(8);
    const std::uint32_t room = sender().limits().send_queue;
    receiver().post_receives(room);
    std::vector<WriteRequest> requests;
    for (std::uint32_t i = 0; i < room + 5; ++i)
        requests.push_back(message(i, i));
    EXPECT_EQ(sender().post(requests), room);
    EXPECT_EQ(sender().post(requests), 0u);
    // Done is not enough: a place is free when its completion has been reaped.
    EXPECT_EQ(reap(receiver(), room).size(), room);
    EXPECT_EQ(sender().post(requests), 0u);
    EXPECT_EQ(reap(sender(), 3).size(), 3u);
    receiver().post_receives(3);
    EXPECT_EQ(sender().post(std::span(requests).subspan(room)), 3u);
    EXPECT_EQ(sender().post(requests), 0u);
    const auto rest = reap(sender(), room);
    ASSERT_EQ(rest.size(), room);
    EXPECT_EQ(rest.back().wr_id, room + 2);
}

TEST_P(NicContract, AnUnsignaledWriteIsSilent) {
    connect(8);
    const std::uint32_t room = sender().limits().send_queue;
    receiver().post_receives(room);
    std::vector<WriteRequest> requests;
    for (std::uint32_t i = 0; i < room; ++i) {
        requests.push_back(message(i, i));
        requests.back().signaled = i + 1 == room;
    }
    EXPECT_EQ(sender().post(requests), room);
    EXPECT_EQ(reap(receiver(), room).size(), room);
    const Completion last = reap_one(sender());
    EXPECT_EQ(last.wr_id, room - 1);
    EXPECT_EQ(sender().wait(0), WaitResult::timed_out);
    // It has freed the places of all before it.
    receiver().post_receives(room);
    EXPECT_EQ(sender().post(requests), room);
    EXPECT_EQ(reap_one(sender()).wr_id, room - 1);
}

TEST_P(NicContract, AnUnsignaledWriteThatFailsIsNotSilent) {
    connect();
    WriteRequest request = message(9, 1); // there is no receive for it
    request.signaled = false;
    post_one(sender(), request);
    const Completion failed = reap_one(sender());
    EXPECT_EQ(failed.wr_id, 9u);
    EXPECT_EQ(failed.status, WcStatus::receiver_not_ready);
}

TEST_P(NicContract, ReceivesHaveALimit) {
    connect(8);
    const std::uint32_t room = receiver().limits().receive_queue;
    receiver().post_receives(room - 1);
    EXPECT_THROW(receiver().post_receives(2), Error);
    receiver().post_receives(1);
    EXPECT_THROW(receiver().post_receives(1), Error);
    EXPECT_THROW(receiver().post_receives(0xffffffff), Error);
    // A receive's place is free when its completion has been polled.
    post_one(sender(), message(1, 1));
    reap_one(sender());
    EXPECT_THROW(receiver().post_receives(1), Error);
    reap_one(receiver());
    receiver().post_receives(1);
}

TEST_P(NicContract, PollTakesWhatThereIsRoomFor) {
    connect();
    receiver().post_receives(5);
    for (std::uint32_t i = 0; i < 5; ++i)
        post_one(sender(), message(i, i));
    EXPECT_EQ(reap(sender(), 5).size(), 5u); // so the receives are complete as well
    std::vector<Completion> two(2);
    std::vector<std::uint32_t> seen;
    while (seen.size() < 5) {
        ASSERT_EQ(receiver().wait(patience), WaitResult::ready);
        const std::size_t count = receiver().poll(two);
        ASSERT_LE(count, 2u);
        for (const Completion& completion : std::span(two).first(count))
            seen.push_back(completion.immediate);
    }
    EXPECT_THAT(seen, ElementsAre(0, 1, 2, 3, 4));
    EXPECT_EQ(receiver().poll(two), 0u);
    EXPECT_EQ(receiver().poll({}), 0u);
}

TEST_P(NicContract, WhatNoNicCouldDoIsRefusedAtOnce) {
    const RegisteredBuffer source = make_source(64 * KB);
    const RegisteredBuffer target = make_target(64 * KB);
    connect();
    const WriteRequest good = write_request(1, source, 0, 64 * KB, target, 0);
    const auto refused = [&](auto change) {
        std::vector<WriteRequest> requests = {good, good};
        change(requests[1]);
        EXPECT_THROW(sender().post(requests), Error);
    };
    refused([](WriteRequest& bad) { bad.local = nullptr; });
    refused([](WriteRequest& bad) { bad.local_offset = 1; });
    refused([](WriteRequest& bad) { bad.local_offset = ~0ull; });
    refused([](WriteRequest& bad) { bad.length += 1; });
    refused([&](WriteRequest& bad) { bad.length = sender().limits().max_message + 1; });
    // None of them was posted, not even the good one before it.
    receiver().post_receives(1);
    post_one(sender(), message(2, 2));
    EXPECT_EQ(reap_one(sender()).wr_id, 2u);
}

// Errors. ----------------------------------------------------------------------------------------

struct Wrong {
    const char* what;
    WcStatus status;
    void (*change)(WriteRequest&, const RegisteredBuffer& read_only);
};

const Wrong wrongs[] = {
    {"a key that nobody has", WcStatus::remote_access_error,
     [](WriteRequest& request, const RegisteredBuffer&) { request.rkey ^= 0x5a5a5a5a; }},
    {"the key of memory that may not be written", WcStatus::remote_access_error,
     [](WriteRequest& request, const RegisteredBuffer& read_only) {
         request.rkey = read_only.region->rkey();
         request.remote_address = read_only.region->address();
     }},
    {"beginning before the region", WcStatus::remote_access_error,
     [](WriteRequest& request, const RegisteredBuffer&) { request.remote_address -= 1; }},
    {"ending behind the region", WcStatus::remote_access_error,
     [](WriteRequest& request, const RegisteredBuffer&) {
         request.remote_address += 64 * KB - request.length + 1;
     }},
    {"beginning behind the region", WcStatus::remote_access_error,
     [](WriteRequest& request, const RegisteredBuffer&) { request.remote_address += 64 * KB; }},
    {"at the end of all addresses", WcStatus::remote_access_error,
     [](WriteRequest& request, const RegisteredBuffer&) { request.remote_address = ~0ull - 10; }},
    {"at address 0", WcStatus::remote_access_error,
     [](WriteRequest& request, const RegisteredBuffer&) { request.remote_address = 0; }},
};

TEST_P(NicContract, ABadRemoteAddressFailsAndFlushesTheRest) {
    const RegisteredBuffer source = make_source(64 * KB);
    const RegisteredBuffer target = make_target(64 * KB);
    const RegisteredBuffer read_only = buffers_.make(far_nic(), 64 * KB, RemoteAccess::none);
    for (const Wrong& wrong : wrongs) {
        SCOPED_TRACE(wrong.what);
        connect();
        sender().post_receives(2);
        receiver().post_receives(3);
        std::ranges::fill(target.bytes(), std::byte{0});
        std::vector<WriteRequest> requests;
        for (std::uint32_t i = 0; i < 4; ++i)
            requests.push_back(write_request(i, source, 0, 1000, target, 0, i));
        requests[2].signaled = false; // flushed work is not silent either
        wrong.change(requests[1], read_only);
        EXPECT_EQ(sender().post(requests), 4u);

        // In order: the good one, the bad one, those after it; the receives anywhere behind it.
        std::vector<std::pair<std::uint64_t, WcStatus>> sent;
        std::size_t flushed_receives = 0;
        for (const Completion& completion : reap(sender(), 4 + 2)) {
            if (completion.opcode == WcOpcode::rdma_write)
                sent.emplace_back(completion.wr_id, completion.status);
            else
                flushed_receives += completion.status == WcStatus::flushed;
        }
        EXPECT_THAT(sent,
                    ElementsAre(std::pair(0, WcStatus::success), std::pair(1, wrong.status),
                                std::pair(2, WcStatus::flushed), std::pair(3, WcStatus::flushed)));
        EXPECT_EQ(flushed_receives, 2u);

        // Work that comes later fares no better.
        post_one(sender(), message(9, 9));
        const Completion later = reap_one(sender());
        EXPECT_EQ(later.wr_id, 9u);
        EXPECT_EQ(later.status, WcStatus::flushed);
        EXPECT_THROW(sender().post_receives(1), Error);
        EXPECT_TRUE(all_are(read_only.bytes(), std::byte{0}));
        EXPECT_TRUE(all_are(target.bytes().subspan(1000), std::byte{0}));
    }
}

TEST_P(NicContract, MemoryOfAnotherNicCannotBeSent) {
    const RegisteredBuffer source = source_of_another_nic(4 * KB);
    const RegisteredBuffer target = make_target(4 * KB);
    connect();
    post_one(sender(), write_request(1, source, 0, 100, target, 0));
    EXPECT_THAT(reap_one(sender()).status, fails_with(WcStatus::local_protection_error));
    EXPECT_TRUE(all_are(target.bytes(), std::byte{0}));
}

TEST_P(NicContract, MemoryThatIsNoLongerRegisteredCannotBeWritten) {
    const RegisteredBuffer source = make_source(4 * KB);
    RegisteredBuffer target = make_target(4 * KB);
    connect();
    const WriteRequest request = write_request(1, source, 0, 100, target, 0);
    target.region.reset();
    post_one(sender(), request);
    EXPECT_EQ(reap_one(sender()).status, WcStatus::remote_access_error);
    EXPECT_TRUE(all_are(target.bytes(), std::byte{0}));
}

TEST_P(NicContract, AReceiverThatIsNotReadyBreaksTheConnection) {
    connect();
    receiver().post_receives(1);
    for (std::uint32_t i = 0; i < 3; ++i)
        post_one(sender(), message(i, i));
    EXPECT_THAT(statuses(reap(sender(), 3)),
                ElementsAre(WcStatus::success, WcStatus::receiver_not_ready, WcStatus::flushed));
    EXPECT_EQ(reap_one(receiver()).immediate, 0u);
}

TEST_P(NicContract, ABreakDoesNotTouchOtherConnections) {
    connect();
    const EndpointPair other = connect_another(8);
    post_one(sender(), message(1, 1));
    EXPECT_EQ(reap_one(sender()).status, WcStatus::receiver_not_ready);
    other.receiver->post_receives(1);
    post_one(*other.sender, message(2, 2));
    EXPECT_EQ(reap_one(*other.receiver).immediate, 2u);
}

} // namespace
} // namespace clearframe::test
