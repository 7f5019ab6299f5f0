// What every NIC promises, held against each that this machine has.
#include "core/error.h"
#include "unit/nic/support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <set>
#include <thread>

namespace clearframe {
namespace {

using namespace test;
using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::size_t KB = 1024;

class NicContract : public testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
#ifdef CLEARFRAME_SOFT_ROCE
        if (!std::getenv("CLEARFRAME_GUEST"))
            GTEST_SKIP() << "not in the guest: tests/coco_guest/run -- ctest … runs this";
        if (!std::filesystem::exists("/sys/class/infiniband/rxe0")) {
            ASSERT_EQ(std::system(CLEARFRAME_SOFT_ROCE " >&2"), 0);
        }
#endif
        const std::string_view specification = GetParam();
        const auto name = specification.substr(0, specification.find(':'));
        for (const Candidate& candidate : probe_nics()) {
            if (candidate.name != name)
                continue;
            if (!candidate.usable)
                GTEST_SKIP() << "NIC " << candidate.name << ": " << candidate.refusal;
            nic_ = open_nic(specification);
            return;
        }
        FAIL() << "probe_nics() does not know " << name;
    }

    void connect(std::uint32_t in_flight = 64) { ends_ = nic_->connect_within(in_flight); }
    Endpoint& sender() { return *ends_.sender; }
    Endpoint& receiver() { return *ends_.receiver; }

    // As a region of this NIC, but one that it does not know.
    RegisteredBuffer source_of_another_nic(std::size_t bytes) {
        other_nic_ = open_nic(GetParam());
        return buffers_.source(*other_nic_, bytes);
    }

    Buffers buffers_;
    std::unique_ptr<Nic> nic_, other_nic_;
    EndpointPair ends_;
};

// Registering. -----------------------------------------------------------------------------------

TEST_P(NicContract, ARegionIsTheBufferThatWasRegistered) {
    const DmaBuf buffer = buffers_.allocate(3'000'000);
    const auto region = nic_->register_memory(buffer, RemoteAccess::write);
    EXPECT_EQ(region->identity(), buffer.identity());
    EXPECT_EQ(region->identity(), BufferIdentity::of(buffer.fd()));
    EXPECT_EQ(region->length(), buffer.size());
    EXPECT_EQ(region->address() % static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)), 0u);
}

TEST_P(NicContract, RegionsHaveKeysAndAddressesOfTheirOwn) {
    std::vector<DmaBuf> buffers;
    std::vector<std::unique_ptr<MemoryRegion>> regions;
    std::set<std::uint32_t> rkeys, lkeys;
    for (int i = 0; i < 32; ++i) {
        buffers.push_back(buffers_.allocate(64 * KB));
        regions.push_back(nic_->register_memory(buffers.back(), RemoteAccess::write));
        lkeys.insert(regions.back()->lkey());
        rkeys.insert(regions.back()->rkey());
    }
    EXPECT_EQ(lkeys.size(), 32u);
    EXPECT_EQ(rkeys.size(), 32u);
    for (const auto& a : regions)
        for (const auto& b : regions)
            if (a != b) {
                EXPECT_TRUE(a->address() + a->length() <= b->address() ||
                            b->address() + b->length() <= a->address());
            }
}

TEST_P(NicContract, PrivateMemoryIsRefused) {
    ExposureMeter meter;
    const auto heaps = probe_heaps();
    const DmaBuf buffer = open_heap(heaps[choose_private_heap(heaps).index].name)
                              ->allocate(64 * KB, Exposure::private_memory, meter);
    try {
        nic_->register_memory(buffer, RemoteAccess::none);
        FAIL() << "private memory was registered";
    } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("EOPNOTSUPP"));
        EXPECT_THAT(error.what(), HasSubstr("private memory"));
    }
}

TEST_P(NicContract, ARegionOutlivesItsBuffer) {
    const RegisteredBuffer target = buffers_.target(*nic_, 64 * KB);
    std::unique_ptr<MemoryRegion> region;
    {
        const DmaBuf buffer = buffers_.allocate(64 * KB);
        region = nic_->register_memory(buffer, RemoteAccess::none);
    }
    std::ranges::fill(target.bytes(), std::byte{1});
    connect();
    WriteRequest request;
    request.local = region.get();
    request.length = 64 * KB;
    request.remote_address = target.region->address();
    request.rkey = target.region->rkey();
    post_one(sender(), request);
    EXPECT_EQ(reap_one(sender()).status, WcStatus::success);
    EXPECT_TRUE(all_are(target.bytes(), std::byte{0})); // zeroed when the buffer went
}

// Writing. ---------------------------------------------------------------------------------------

TEST_P(NicContract, DataArrivesWholeAndNowhereElse) {
    constexpr std::size_t room = 3'000'000;
    const RegisteredBuffer source = buffers_.source(*nic_, room);
    const RegisteredBuffer target = buffers_.target(*nic_, room);
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
    const RegisteredBuffer source = buffers_.source(*nic_, 64 * KB);
    const RegisteredBuffer target = buffers_.target(*nic_, 64 * KB);
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
    const RegisteredBuffer source = buffers_.source(*nic_, 4 * KB);
    const RegisteredBuffer target = buffers_.target(*nic_, 4 * KB);
    connect();
    receiver().post_receives(1);
    post_one(sender(), write_request(1, source, 0, 100, target, 0));
    post_one(sender(), message(2, 77));
    EXPECT_EQ(reap_one(receiver()).immediate, 77u);
    EXPECT_EQ(receiver().wait(0), WaitResult::timed_out);
}

TEST_P(NicContract, CompletionsComeInTheOrderOfPosting) {
    constexpr std::uint32_t count = 200;
    const RegisteredBuffer source = buffers_.source(*nic_, 300 * KB);
    const RegisteredBuffer target = buffers_.target(*nic_, 300 * KB);
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
    const RegisteredBuffer source = buffers_.source(*nic_, 300 * KB);
    const RegisteredBuffer target = buffers_.target(*nic_, 300 * KB);
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
    const EndpointPair other = nic_->connect_within(8);
    receiver().post_receives(1);
    other.receiver->post_receives(1);
    post_one(*other.sender, message(1, 111));
    post_one(sender(), message(2, 222));
    EXPECT_EQ(reap_one(receiver()).immediate, 222u);
    EXPECT_EQ(reap_one(*other.receiver).immediate, 111u);
    EXPECT_EQ(reap_one(sender()).wr_id, 2u);
    EXPECT_EQ(reap_one(*other.sender).wr_id, 1u);
}

// Queues. ----------------------------------------------------------------------------------------

TEST_P(NicContract, QueuesAreAsDeepAsAskedFor) {
    connect(100);
    for (const Endpoint* const end : {&sender(), &receiver()}) {
        EXPECT_GE(end->limits().send_queue, 100u);
        EXPECT_GE(end->limits().receive_queue, 100u);
        EXPECT_GE(end->limits().max_message, 1u << 20);
    }
}

TEST_P(NicContract, AConnectionWithoutRoomMakesNoSense) {
    EXPECT_THROW(nic_->connect_within(0), Error);
    EXPECT_THROW(nic_->connect_within(0xffffffff), Error);
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
    const RegisteredBuffer source = buffers_.source(*nic_, 64 * KB);
    const RegisteredBuffer target = buffers_.target(*nic_, 64 * KB);
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
    const RegisteredBuffer source = buffers_.source(*nic_, 64 * KB);
    const RegisteredBuffer target = buffers_.target(*nic_, 64 * KB);
    const RegisteredBuffer read_only = buffers_.make(*nic_, 64 * KB, RemoteAccess::none);
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
    const RegisteredBuffer target = buffers_.target(*nic_, 4 * KB);
    connect();
    post_one(sender(), write_request(1, source, 0, 100, target, 0));
    // Soft-RoCE says "flushed" of the very write that it refuses.
    EXPECT_THAT(reap_one(sender()).status,
                AnyOf(WcStatus::local_protection_error, WcStatus::flushed));
    EXPECT_TRUE(all_are(target.bytes(), std::byte{0}));
}

TEST_P(NicContract, MemoryThatIsNoLongerRegisteredCannotBeWritten) {
    const RegisteredBuffer source = buffers_.source(*nic_, 4 * KB);
    RegisteredBuffer target = buffers_.target(*nic_, 4 * KB);
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
    const EndpointPair other = nic_->connect_within(8);
    post_one(sender(), message(1, 1));
    EXPECT_EQ(reap_one(sender()).status, WcStatus::receiver_not_ready);
    other.receiver->post_receives(1);
    post_one(*other.sender, message(2, 2));
    EXPECT_EQ(reap_one(*other.receiver).immediate, 2u);
}

// Waiting and ending. ----------------------------------------------------------------------------

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
    const RegisteredBuffer source = buffers_.source(*nic_, 1 << 20);
    const RegisteredBuffer target = buffers_.target(*nic_, 1 << 20);
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
    const RegisteredBuffer source = buffers_.source(*nic_, room);
    const RegisteredBuffer target = buffers_.target(*nic_, room);
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

TEST_P(NicContract, AWriteThatIsCutShortIsNoSuccess) {
    constexpr std::size_t room = 8 << 20;
    const RegisteredBuffer source = buffers_.source(*nic_, room);
    const RegisteredBuffer target = buffers_.target(*nic_, room);
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
            EXPECT_THAT(status, AnyOf(WcStatus::retry_exceeded, WcStatus::flushed));
    }
}

TEST_P(NicContract, WritesToAnEndThatIsGoneFail) {
    const RegisteredBuffer source = buffers_.source(*nic_, 4 * KB);
    const RegisteredBuffer target = buffers_.target(*nic_, 4 * KB);
    for (const std::uint32_t receives : {0, 2}) {
        connect();
        receiver().post_receives(receives);
        ends_.receiver.reset();
        const WriteRequest requests[] = {write_request(1, source, 0, 100, target, 0, 1),
                                         write_request(2, source, 0, 100, target, 0, 1)};
        EXPECT_EQ(sender().post(requests), 2u);
        EXPECT_THAT(
            statuses(reap(sender(), 2)),
            ElementsAre(AnyOf(WcStatus::retry_exceeded, WcStatus::flushed), WcStatus::flushed));
        EXPECT_TRUE(all_are(target.bytes(), std::byte{0}));
    }
}

// Measuring. -------------------------------------------------------------------------------------

TEST_P(NicContract, ThePlainTransferIsMeasured) {
    const RegisteredBuffer source = buffers_.source(*nic_, 1 << 20);
    const RegisteredBuffer target = buffers_.target(*nic_, 1 << 20);
    const RegisteredBuffer second = buffers_.target(*nic_, 1 << 20);
    const MemoryRegion* const sources[] = {source.region.get()};
    const MemoryRegion* const targets[] = {target.region.get(), second.region.get()};
    // Long enough for both targets at some time, whatever the machine.
    for (Nanoseconds time = 0; !same(source.bytes(), second.bytes()) && time < patience;
         time = 2 * time + 1'000'000)
        EXPECT_GT(nic_->plain_gbytes_per_s(sources, targets, time), 0);
    EXPECT_TRUE(same(source.bytes(), target.bytes()));
    EXPECT_TRUE(same(source.bytes(), second.bytes()));
    EXPECT_THROW(nic_->plain_gbytes_per_s({}, targets, 0), Error);
    EXPECT_THROW(nic_->plain_gbytes_per_s(sources, {}, 0), Error);
    EXPECT_THROW(nic_->plain_gbytes_per_s(targets, sources, 0), Error); // may not be written
    const RegisteredBuffer foreign = source_of_another_nic(4 * KB);
    const MemoryRegion* const foreigners[] = {foreign.region.get()};
    EXPECT_THROW(nic_->plain_gbytes_per_s(foreigners, targets, 0), Error);
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
    const RegisteredBuffer sources[] = {buffers_.source(*nic_, room), buffers_.source(*nic_, room)};
    const RegisteredBuffer targets[] = {buffers_.target(*nic_, room), buffers_.target(*nic_, room)};
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

// In the guest, a NIC of its kernel.
#ifdef CLEARFRAME_SOFT_ROCE
INSTANTIATE_TEST_SUITE_P(Verbs, NicContract,
                         testing::Values("verbs:device=rxe0", "verbs:device=rxe0,wait=poll"),
                         [](const auto& test) { return "Nic" + std::to_string(test.index); });
#else
INSTANTIATE_TEST_SUITE_P(Nics, NicContract,
                         testing::Values("emulated", "emulated:rate=200Gbps,latency=20us"),
                         [](const auto& test) { return "Nic" + std::to_string(test.index); });
#endif

} // namespace
} // namespace clearframe
