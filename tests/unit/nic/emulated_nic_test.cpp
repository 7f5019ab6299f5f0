// What the emulated NIC does beyond what every NIC does: options, faults, its thread.
#include "core/error.h"
#include "unit/nic/support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

namespace clearframe {
namespace {

using namespace test;
using testing::ElementsAre;

constexpr std::size_t frame = 100'000;

// A NIC, or two, with one connection and a frame's memory at each end.
class Stream {
public:
    explicit Stream(const std::string& options = {}, Joined joined = Joined::within)
        : nic(open_nic("emulated:" + options)),
          far_nic(joined == Joined::listed ? open_nic("emulated") : nullptr),
          source(buffers.source(*nic, frame)),
          target(buffers.target(far_nic ? *far_nic : *nic, frame)),
          ends(far_nic ? connect_listed(*nic, *far_nic, 64) : nic->connect_within(64)) {
        ends.receiver->post_receives(64);
    }

    void post(std::uint64_t number) {
        post_one(*ends.sender, write_request(number, source, 0, frame, target, 0,
                                             static_cast<std::uint32_t>(number)));
    }

    // The bytes of the last frame that differ from what was sent; the target is cleared for the
    // next.
    std::size_t take_differences() {
        std::size_t count = 0;
        for (std::size_t i = 0; i < frame; ++i) {
            count += source.bytes()[i] != target.bytes()[i];
            target.bytes()[i] = ~source.bytes()[i];
        }
        return count;
    }

    Buffers buffers;
    std::unique_ptr<Nic> nic, far_nic;
    RegisteredBuffer source, target;
    EndpointPair ends;
};

// Frames 0 and 2 are as they should be, so it was frame 1 that was struck, and nothing else.
class Struck : public Stream {
public:
    Struck(const std::string& fault, Joined joined) : Stream(fault + "=@1", joined) {
        take_differences();
        good(0);
    }

    void good(std::uint32_t number) {
        post(number);
        const Completion received = reap_one(*ends.receiver);
        EXPECT_EQ(received.status, WcStatus::success);
        EXPECT_EQ(received.immediate, number);
        EXPECT_EQ(received.byte_len, frame);
        EXPECT_EQ(reap_one(*ends.sender).status, WcStatus::success);
        EXPECT_EQ(take_differences(), 0u);
    }
};

class EmulatedFault : public testing::TestWithParam<Joined> {};
INSTANTIATE_TEST_SUITE_P(Joined, EmulatedFault, testing::Values(Joined::within, Joined::listed),
                         [](const auto& test) {
                             return test.param == Joined::within ? "Within" : "Listed";
                         });

TEST_P(EmulatedFault, CorruptChangesOneByte) {
    Struck stream("corrupt", GetParam());
    stream.post(1);
    EXPECT_EQ(reap_one(*stream.ends.receiver).byte_len, frame);
    EXPECT_EQ(stream.take_differences(), 1u);
    EXPECT_EQ(reap_one(*stream.ends.sender).status, WcStatus::success);
    stream.good(2);
}

TEST_P(EmulatedFault, DropTellsTheSenderAlone) {
    Struck stream("drop", GetParam());
    stream.post(1);
    EXPECT_EQ(reap_one(*stream.ends.sender).status, WcStatus::success);
    EXPECT_EQ(stream.ends.receiver->wait(0), WaitResult::timed_out);
    EXPECT_EQ(stream.take_differences(), frame);
    stream.good(2);
}

TEST_P(EmulatedFault, TornWritesTheFirstHalf) {
    Struck stream("torn", GetParam());
    stream.post(1);
    EXPECT_EQ(reap_one(*stream.ends.receiver).byte_len, frame);
    EXPECT_TRUE(
        same(stream.source.bytes().first(frame / 2), stream.target.bytes().first(frame / 2)));
    EXPECT_EQ(stream.take_differences(), frame / 2);
    EXPECT_EQ(reap_one(*stream.ends.sender).status, WcStatus::success);
    stream.good(2);
}

TEST_P(EmulatedFault, LateTellsOfBytesThatNeverCome) {
    Struck stream("late", GetParam());
    stream.post(1);
    const Completion received = reap_one(*stream.ends.receiver);
    EXPECT_EQ(received.status, WcStatus::success);
    EXPECT_EQ(received.byte_len, frame);
    EXPECT_EQ(stream.take_differences(), frame);
    EXPECT_EQ(reap_one(*stream.ends.sender).status, WcStatus::success);
    stream.good(2);
}

TEST_P(EmulatedFault, WrongLengthIsInTheCompletionAlone) {
    Struck stream("wrong-length", GetParam());
    stream.post(1);
    const Completion received = reap_one(*stream.ends.receiver);
    EXPECT_NE(received.byte_len, frame);
    EXPECT_EQ(received.immediate, 1u);
    EXPECT_EQ(stream.take_differences(), 0u);
    reap_one(*stream.ends.sender);
    stream.good(2);
}

TEST_P(EmulatedFault, WrongImmediateIsInTheCompletionAlone) {
    Struck stream("wrong-immediate", GetParam());
    stream.post(1);
    const Completion received = reap_one(*stream.ends.receiver);
    EXPECT_NE(received.immediate, 1u);
    EXPECT_EQ(received.byte_len, frame);
    EXPECT_EQ(stream.take_differences(), 0u);
    reap_one(*stream.ends.sender);
    stream.good(2);
}

TEST_P(EmulatedFault, ErrorBreaksTheConnection) {
    Struck stream("error", GetParam());
    stream.post(1);
    stream.post(2);
    EXPECT_THAT(statuses(reap(*stream.ends.sender, 2)),
                ElementsAre(WcStatus::remote_access_error, WcStatus::flushed));
    EXPECT_EQ(reap_one(*stream.ends.receiver).status, WcStatus::flushed);
    EXPECT_EQ(stream.take_differences(), frame);
}

TEST_P(EmulatedFault, AReceiverThatHasNotSeenTheBreakMayStillPostReceives) {
    Struck stream("error", GetParam());
    stream.post(1);
    reap_one(*stream.ends.sender);
    stream.ends.receiver->post_receives(1); // in place of the one that frame 0 used
    EXPECT_THAT(statuses(reap(*stream.ends.receiver, 64)), testing::Each(WcStatus::flushed));
    EXPECT_THROW(stream.ends.receiver->post_receives(1), Error);
}

TEST_P(EmulatedFault, StallStopsTheEngineForGood) {
    Struck stream("stall", GetParam());
    stream.post(1);
    stream.post(2);
    EXPECT_EQ(stream.ends.sender->wait(5'000'000), WaitResult::timed_out);
    EXPECT_EQ(stream.ends.receiver->wait(5'000'000), WaitResult::timed_out);
    EXPECT_EQ(stream.take_differences(), frame);
    const EndpointPair other = stream.nic->connect_within(4); // the whole NIC is stuck
    other.receiver->post_receives(1);
    post_one(*other.sender, message(1, 1));
    EXPECT_EQ(other.receiver->wait(1'000'000), WaitResult::timed_out);

    std::thread waiter(
        [&] { EXPECT_EQ(stream.ends.receiver->wait(patience), WaitResult::cancelled); });
    stream.ends.receiver->cancel();
    waiter.join();
}

TEST_P(EmulatedFault, OnlyFramesAreCountedAndStruck) {
    Stream stream("drop=@1", GetParam());
    const auto piece = [&](std::uint64_t id) {
        return write_request(id, stream.source, 0, 1000, stream.target, 0);
    };
    // Two frames in two pieces and a last one each, with messages in between.
    const std::vector<WriteRequest> requests = {
        message(0, 100), piece(1),
        piece(2),        write_request(3, stream.source, 0, 500, stream.target, 0, 0),
        message(4, 101), piece(5),
        piece(6),        write_request(7, stream.source, 0, 500, stream.target, 0, 1),
        message(8, 102), write_request(9, stream.source, 0, 500, stream.target, 0, 2)};
    EXPECT_EQ(stream.ends.sender->post(requests), requests.size());
    for (const Completion& sent : reap(*stream.ends.sender, requests.size()))
        EXPECT_EQ(sent.status, WcStatus::success);
    std::vector<std::uint32_t> arrived;
    for (const Completion& received : reap(*stream.ends.receiver, 5))
        arrived.push_back(received.immediate);
    EXPECT_THAT(arrived, ElementsAre(100, 0, 101, 102, 2));
}

TEST(EmulatedFaults, AreCountedForEachConnection) {
    Stream stream("wrong-length=@0");
    stream.post(0);
    EXPECT_NE(reap_one(*stream.ends.receiver).byte_len, frame);
    const EndpointPair other = stream.nic->connect_within(4);
    other.receiver->post_receives(1);
    post_one(*other.sender, write_request(0, stream.source, 0, frame, stream.target, 0, 0));
    EXPECT_NE(reap_one(*other.receiver).byte_len, frame);
}

// What became of `count` frames: length, immediate and bytes that differ, of each.
std::vector<std::uint32_t> outcomes(const std::string& options, int count, Joined joined) {
    Stream stream(options, joined);
    std::vector<std::uint32_t> all;
    for (int i = 0; i < count; ++i) {
        stream.post(static_cast<std::uint64_t>(i));
        reap_one(*stream.ends.sender);
        Completion received;
        if (stream.ends.receiver->poll({&received, 1}) == 1)
            stream.ends.receiver->post_receives(1);
        all.insert(all.end(), {received.byte_len, received.immediate,
                               static_cast<std::uint32_t>(stream.take_differences())});
    }
    return all;
}

TEST_P(EmulatedFault, TheSameSeedAndTrafficGiveTheSameFaults) {
    const std::string faults = "corrupt=0.2,drop=0.1,wrong-length=0.1,wrong-immediate=0.1,seed=";
    const auto first = outcomes(faults + "4", 60, GetParam());
    EXPECT_EQ(first, outcomes(faults + "4", 60, GetParam()));
    EXPECT_NE(first, outcomes(faults + "5", 60, GetParam()));
}

// Time. Neither of these can fail because a machine is slow. --------------------------------------

TEST(EmulatedLink, NothingPassesFasterThanTheRate) {
    Stream stream("rate=1Gbps");
    const Nanoseconds start = now();
    for (std::uint64_t i = 0; i < 20; ++i)
        stream.post(i);
    reap(*stream.ends.sender, 20);
    EXPECT_GE(now() - start, Nanoseconds{20 * frame * 8});
    EXPECT_EQ(reap(*stream.ends.receiver, 20).size(), 20u);
    EXPECT_EQ(stream.take_differences(), 0u);
}

TEST(EmulatedLink, CompletionsComeNoSoonerThanTheLatency) {
    Stream stream("latency=3ms");
    const Nanoseconds start = now();
    stream.post(0);
    reap_one(*stream.ends.receiver);
    EXPECT_GE(now() - start, Nanoseconds{3'000'000});
    reap_one(*stream.ends.sender);
    EXPECT_EQ(stream.take_differences(), 0u);
}

TEST(EmulatedLink, TheRateLimitsThePlainTransferToo) {
    const Stream stream("rate=1Mbps");
    const MemoryRegion* const source[] = {stream.source.region.get()};
    const MemoryRegion* const target[] = {stream.target.region.get()};
    EXPECT_DOUBLE_EQ(stream.nic->plain_gbytes_per_s(source, target, 0), 0.000125);
}

// Robustness. ------------------------------------------------------------------------------------

// What has been posted, in order: some are done, one may fail, the rest is flushed.
void expect_done_then(WcStatus failure, const std::vector<WcStatus>& all) {
    auto it = std::ranges::find_if(all, [](WcStatus s) { return s != WcStatus::success; });
    if (it == all.end())
        return;
    EXPECT_EQ(*it, failure);
    EXPECT_TRUE(std::all_of(it + 1, all.end(), [](WcStatus s) { return s == WcStatus::flushed; }));
}

TEST(EmulatedEngine, MemoryMayBeDeregisteredUnderIt) {
    constexpr std::size_t large = 8 << 20;
    for (const bool local : {true, false}) {
        Stream stream;
        RegisteredBuffer source = stream.buffers.source(*stream.nic, large);
        RegisteredBuffer target = stream.buffers.target(*stream.nic, large);
        std::vector<WriteRequest> requests;
        for (std::uint64_t i = 0; i < 32; ++i)
            requests.push_back(write_request(i, source, 0, large, target, 0));
        EXPECT_EQ(stream.ends.sender->post(requests), 32u);
        reap_one(*stream.ends.sender);
        (local ? source : target).region.reset();
        expect_done_then(local ? WcStatus::local_protection_error : WcStatus::remote_access_error,
                         statuses(reap(*stream.ends.sender, 31)));
    }
}

// Its writes would keep the engine busy for long; another's must not wait for all of them.
TEST(EmulatedEngine, ServesConnectionsInTurn) {
    bool overtook = false;
    for (int attempt = 0; attempt < 50 && !overtook; ++attempt) {
        Stream stream("rate=10Gbps");
        for (std::uint64_t i = 0; i < 60; ++i)
            stream.post(i);
        const EndpointPair other = stream.nic->connect_within(4);
        other.receiver->post_receives(1);
        post_one(*other.sender, message(1, 1));
        reap_one(*other.receiver);
        std::vector<Completion> done(64);
        overtook = stream.ends.sender->poll(done) < 60;
        stream.ends = {};
    }
    EXPECT_TRUE(overtook);
}

std::vector<std::string> thread_names() {
    std::vector<std::string> names;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        std::ifstream file(task.path() / "comm");
        names.emplace_back();
        std::getline(file, names.back());
    }
    return names;
}

TEST(EmulatedEngine, HasAThreadOfItsOwnWhileTheNicExists) {
    EXPECT_THAT(thread_names(), testing::Not(testing::Contains("cf-nic")));
    {
        const auto nic = open_nic("emulated");
        EXPECT_THAT(thread_names(), testing::Contains(nic->info().thread).Times(1));
        const auto second = open_nic("emulated");
        EXPECT_THAT(thread_names(), testing::Contains(nic->info().thread).Times(2));
    }
    EXPECT_THAT(thread_names(), testing::Not(testing::Contains("cf-nic")));
}

TEST(EmulatedEngine, TellsItsCpuTime) {
    Stream stream;
    const Nanoseconds before = stream.nic->emulation_cpu();
    stream.post(0);
    reap_one(*stream.ends.sender);
    EXPECT_GT(stream.nic->emulation_cpu(), before);
}

// It comes to rest: at some time its clock stands still for a while.
void expect_to_sleep(const Nic& nic) {
    Nanoseconds last = nic.emulation_cpu();
    for (int i = 0; i < 1000; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        const Nanoseconds cpu = nic.emulation_cpu();
        if (cpu == last)
            return;
        last = cpu;
    }
    FAIL() << "the engine is never at rest";
}

TEST(EmulatedEngine, SleepsWhenThereIsNothingToDo) {
    for (const Joined joined : {Joined::within, Joined::listed}) {
        Stream stream("", joined);
        stream.post(0);
        reap_one(*stream.ends.sender);
        reap_one(*stream.ends.receiver);
        expect_to_sleep(*stream.nic);
        if (stream.far_nic)
            expect_to_sleep(*stream.far_nic);
        stream.ends.receiver.reset();
        expect_to_sleep(*stream.nic);
    }
}

TEST(EmulatedEngine, MayGoRightAfterItsEnds) {
    for (int i = 0; i < 50; ++i) {
        const auto nic = open_nic("emulated");
        const EndpointPair ends = nic->connect_within(4);
        ends.receiver->post_receives(1);
        post_one(*ends.sender, message(1, 1));
    }
}

TEST(EmulatedEngine, PlainTransfersTakeTurns) {
    Stream stream;
    const auto measure = [&] {
        const MemoryRegion* const source[] = {stream.source.region.get()};
        const MemoryRegion* const target[] = {stream.target.region.get()};
        EXPECT_GT(stream.nic->plain_gbytes_per_s(source, target, 1'000'000), 0);
    };
    std::thread other(measure);
    measure();
    other.join();
}

} // namespace
} // namespace clearframe
