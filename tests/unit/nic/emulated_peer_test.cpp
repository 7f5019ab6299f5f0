// What comes from a peer that has been let in is hostile all the same.
#include "unit/nic/emulated_peer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <thread>

namespace clearframe::test {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

Note arrived(std::uint32_t byte_len, std::uint32_t immediate, Nanoseconds due = 0) {
    return {.kind = NoteKind::arrived, .value = byte_len, .immediate = immediate, .due = due};
}

TEST_F(EmulatedPeer, WhatItSaysOfAWriteIsPassedOnAsItIs) {
    RawPeer peer(listener_->address());
    const auto end = let_in(peer);
    end->post_receives(1);
    peer.say(arrived(0xffffffff, 0x12345678, -5));
    const Completion received = reap_one(*end);
    EXPECT_EQ(received.status, WcStatus::success);
    EXPECT_EQ(received.byte_len, 0xffffffffu);
    EXPECT_EQ(received.immediate, 0x12345678u);
    EXPECT_GT(received.time, 0);
    EXPECT_LE(received.time, now());
    EXPECT_EQ(peer.hear_note().kind, NoteKind::confirmed);
    peer.hang_up();
}

TEST_F(EmulatedPeer, AWriteIsCompleteOnceItIsConfirmed) {
    RawPeer peer(listener_->address());
    const auto end = let_in(peer);
    const std::vector<WriteRequest> three = {message(1, 11), message(2, 22), message(3, 33)};
    EXPECT_EQ(end->post(three), 3u);
    for (const WriteRequest& request : three)
        EXPECT_EQ(peer.hear_note().immediate, *request.immediate);
    EXPECT_EQ(end->wait(1'000'000), WaitResult::timed_out);
    peer.say(Note{.kind = NoteKind::confirmed, .value = 2});
    EXPECT_THAT(statuses(reap(*end, 2)), Each(WcStatus::success));
    peer.say(Note{.kind = NoteKind::not_ready});
    const Completion failed = reap_one(*end);
    EXPECT_EQ(failed.wr_id, 3u);
    EXPECT_EQ(failed.status, WcStatus::receiver_not_ready);
    peer.hang_up();
}

TEST_F(EmulatedPeer, NoMoreIsSaidThanFitsIntoItsBuffer) {
    RawPeer peer(listener_->address());
    const auto end = let_in(peer, 4096);
    std::vector<WriteRequest> all(4096, message(1, 1));
    EXPECT_EQ(end->post(all), 4096u);
    for (std::uint32_t heard = 0; heard < 4096; heard += most_unconfirmed) {
        for (std::uint32_t i = 0; i < most_unconfirmed; ++i)
            EXPECT_EQ(peer.hear_note().kind, NoteKind::arrived);
        EXPECT_FALSE(receive_packet(peer.fd()));
        peer.say(Note{.kind = NoteKind::confirmed, .value = most_unconfirmed});
    }
    EXPECT_THAT(statuses(reap(*end, 4096)), Each(WcStatus::success));
    peer.hang_up();
}

TEST_F(EmulatedPeer, AFloodWithoutReceivesBreaksTheConnectionAndEnds) {
    RawPeer peer(listener_->address());
    const auto end = let_in(peer);
    end->post_receives(3);
    post_one(*end, message(8, 8));
    EXPECT_EQ(peer.hear_note().immediate, 8u);
    // Until it is cut off.
    try {
        for (std::uint32_t i = 0; i < 1'000'000; ++i)
            peer.say(arrived(0, i));
        FAIL() << "a million messages were taken";
    } catch (const Error&) {
    }
    std::vector<WcStatus> received;
    for (const Completion& completion : reap(*end, 4)) {
        if (completion.opcode == WcOpcode::rdma_write) {
            EXPECT_EQ(completion.status, WcStatus::flushed);
        } else {
            received.push_back(completion.status);
        }
    }
    EXPECT_THAT(received, Each(WcStatus::success));
    EXPECT_EQ(received.size(), 3u);
    post_one(*end, message(9, 9));
    EXPECT_EQ(reap_one(*end).status, WcStatus::flushed);
    EXPECT_EQ(end->wait(0), WaitResult::timed_out);
}

TEST_F(EmulatedPeer, AFloodThatReadsNothingEnds) {
    RawPeer peer(listener_->address());
    const auto end = let_in(peer, 1 << 17);
    end->post_receives(1 << 17);
    std::thread flood([&] {
        try {
            for (std::uint32_t i = 0; i < 1'000'000; ++i)
                peer.say(arrived(0, i));
        } catch (const Error&) {
        }
        peer.hang_up();
    });
    // Every receive comes back, whichever of the two ends first.
    EXPECT_EQ(reap(*end, 1 << 17).size(), std::size_t{1} << 17);
    flood.join();
}

struct Nonsense {
    const char* what;
    std::vector<std::byte> bytes;
};

std::vector<std::byte> copy_of(const Note& note) {
    const auto bytes = bytes_of(note);
    return {bytes.begin(), bytes.end()};
}

TEST_F(EmulatedPeer, WhatNoPeerSaysEndsTheConnection) {
    const Nonsense all[] = {
        {"nothing", {}},
        {"a byte", std::vector<std::byte>(1)},
        {"a note and a byte", std::vector<std::byte>(sizeof(Note) + 1)},
        {"much", std::vector<std::byte>(10'000)},
        {"no kind", copy_of({.kind = NoteKind{}})},
        {"another kind", copy_of({.kind = NoteKind{99}})},
        {"a confirmation of nothing", copy_of({.kind = NoteKind::confirmed, .value = 0})},
        {"a confirmation of too many", copy_of({.kind = NoteKind::confirmed, .value = 2})},
        {"a confirmation of very many", copy_of({.kind = NoteKind::confirmed, .value = ~0u})},
        {"a key that is none", copy_of({.kind = NoteKind::revoke, .value = 78})},
        {"what nobody asked", copy_of({.kind = NoteKind::revoked, .value = 77})},
    };
    for (const Nonsense& nonsense : all) {
        SCOPED_TRACE(nonsense.what);
        RawPeer peer(listener_->address());
        const auto end = let_in(peer);
        end->post_receives(2);
        post_one(*end, message(1, 1));
        EXPECT_EQ(peer.hear_note().kind, NoteKind::arrived);
        peer.send(nonsense.bytes);
        EXPECT_TRUE(peer.hears_the_end());
        std::vector<WcStatus> sent, received;
        for (const Completion& completion : reap(*end, 3))
            (completion.opcode == WcOpcode::rdma_write ? sent : received)
                .push_back(completion.status);
        EXPECT_THAT(sent, ElementsAre(nonsense.bytes.empty() ? WcStatus::retry_exceeded
                                                             : WcStatus::remote_operation_error));
        EXPECT_THAT(received, ElementsAre(WcStatus::flushed, WcStatus::flushed));
        post_one(*end, message(2, 2));
        EXPECT_EQ(reap_one(*end).status, WcStatus::flushed);
    }
}

TEST_F(EmulatedPeer, AConfirmationThatNobodyWaitsForEndsTheConnection) {
    for (const NoteKind kind : {NoteKind::confirmed, NoteKind::not_ready}) {
        RawPeer peer(listener_->address());
        const auto end = let_in(peer);
        end->post_receives(1);
        peer.say(Note{.kind = kind, .value = 1});
        EXPECT_TRUE(peer.hears_the_end());
        EXPECT_EQ(reap_one(*end).status, WcStatus::flushed);
        post_one(*end, message(2, 2));
        EXPECT_EQ(reap_one(*end).status, WcStatus::retry_exceeded);
    }
}

TEST_F(EmulatedPeer, ItsWordForTheTimeDoesNotHideItsEnd) {
    RawPeer peer(listener_->address());
    const auto end = let_in(peer);
    end->post_receives(2);
    peer.say(arrived(0, 5, INT64_MAX));
    EXPECT_EQ(peer.hear_note().kind, NoteKind::confirmed);
    EXPECT_EQ(end->wait(0), WaitResult::timed_out);
    peer.hang_up();
    EXPECT_THAT(statuses(reap(*end, 2)), ElementsAre(WcStatus::success, WcStatus::flushed));
}

TEST_F(EmulatedPeer, DescriptorsThatComeWithANoteAreNotKept) {
    RawPeer peer(listener_->address());
    const auto end = let_in(peer);
    end->post_receives(16);
    const std::size_t fds = open_descriptors();
    const int some_fds[] = {memory_.get(), memory_.get()};
    for (int i = 0; i < 16; ++i)
        peer.send(bytes_of(arrived(0, 1)), some_fds);
    reap(*end, 16);
    EXPECT_EQ(open_descriptors(), fds);
    peer.hang_up();
}

TEST_F(EmulatedPeer, ARevokedRegionIsUnmapped) {
    RawPeer peer(listener_->address());
    const std::size_t before = mappings();
    const auto end = let_in(peer);
    const RegisteredBuffer source = buffers_.source(*nic_, page);
    WriteRequest request;
    request.local = source.region.get();
    request.length = page;
    request.remote_address = page;
    request.rkey = 77;
    post_one(*end, request);
    EXPECT_EQ(reap_one(*end).status, WcStatus::success);
    const Mapping written(memory_.get(), page, Access::read, "test");
    EXPECT_TRUE(same(written.bytes(), source.bytes()));
    peer.say(Note{.kind = NoteKind::revoke, .value = 77});
    EXPECT_EQ(peer.hear_note().kind, NoteKind::revoked);
    post_one(*end, request);
    EXPECT_EQ(reap_one(*end).status, WcStatus::remote_access_error);
    // Of what is left, the test itself has mapped: source, as itself and as the NIC, and `written`.
    EXPECT_EQ(mappings(), before + 3);
    EXPECT_EQ(peer.hear_note().kind, NoteKind::broken);
    peer.hang_up();
}

// With a region of this side that it may write.
class EmulatedPeerThatWrites : public EmulatedPeer {
protected:
    EmulatedPeerThatWrites() : target_(buffers_.target(*nic_, page)), peer_(listener_->address()) {
        Accepting accepting(*listener_, key_);
        peer_.say(Hello{.regions = 0, .key = key_});
        EXPECT_EQ(decode_answer(peer_.hear().bytes)->regions, 1u);
        EXPECT_EQ(decode_regions(peer_.hear().bytes)->at(0).rkey, target_.region->rkey());
        EXPECT_EQ(decode_answer(peer_.hear().bytes)->verdict, Verdict::ready);
        end_ = accepting.get();
    }

    // That `step` ends with `answer`, and not before.
    void expect_to_wait(const std::function<void()>& step, const std::function<void()>& answer) {
        auto done = std::async(std::launch::async, step);
        EXPECT_EQ(done.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
        answer();
        done.get();
    }

    RegisteredBuffer target_;
    RawPeer peer_;
    std::unique_ptr<Endpoint> end_;
};

TEST_F(EmulatedPeerThatWrites, IsWaitedForUntilItLetsGo) {
    const std::uint32_t rkey = target_.region->rkey();
    expect_to_wait([&] { target_.region.reset(); },
                   [&] {
                       const Note note = peer_.hear_note();
                       EXPECT_EQ(note.kind, NoteKind::revoke);
                       EXPECT_EQ(note.value, rkey);
                       peer_.say(Note{.kind = NoteKind::revoked, .value = rkey});
                   });
    expect_to_wait([&] { end_.reset(); },
                   [&] {
                       EXPECT_TRUE(peer_.hears_the_end());
                       peer_.hang_up();
                   });
}

TEST_F(EmulatedPeerThatWrites, IsNotWaitedForForGood) {
    target_.region.reset();
    EXPECT_EQ(peer_.hear_note().kind, NoteKind::revoke);
    end_.reset();
    EXPECT_TRUE(peer_.hears_the_end());
}

} // namespace
} // namespace clearframe::test
