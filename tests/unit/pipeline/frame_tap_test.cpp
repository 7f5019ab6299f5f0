// Frames that somebody looks at: whose slot comes back when, whoever is faster or goes first.
#include "core/error.h"
#include "pipeline/session.h"
#include "support/fake_nic.h"
#include "unit/pipeline/support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace clearframe {
namespace {

using test::Figures;
using testing::ElementsAre;
using testing::IsEmpty;

// The receiver alone, with a peer that does what the test says, step by step, whenever the receiver
// has nothing left to do. -------------------------------------------------------------------------

class ReceiverWithTap : public testing::Test {
protected:
    explicit ReceiverWithTap(std::uint32_t slots = 4)
        : parts{.shared_heap = *heap,
                .private_heap = *heap,
                .nic = nic,
                .exposure = exposure,
                .layout = plain_frame_layout(16, 16),
                .ring = slots,
                .max_message = 1u << 20},
          memory(parts),
          path(find_path("zero-copy")->make_receive(parts, memory)),
          verifier(parts.layout, Scene::none, 1, Verify::off),
          receiver(std::make_unique<Receiver>(endpoint, memory)) {
        receiver->set_lane(
            {.path = path.get(), .verifier = &verifier, .meter = &meter, .tap = &tap});
    }

    void arrive(std::uint32_t slot, std::uint64_t sequence) {
        message(Message::frame, slot, sequence, path->last_write_bytes());
    }
    void end_of_block(std::uint64_t sequence) { message(Message::end, 0, sequence, 0); }
    void message(Message kind, std::uint32_t slot, std::uint64_t sequence, std::uint32_t bytes) {
        endpoint.inner.completions.push_back(
            {.opcode = WcOpcode::receive_with_immediate,
             .byte_len = bytes,
             .immediate = Immediate::of(kind, slot, sequence).encode()});
    }
    // The slots given back since the last call.
    std::vector<std::uint32_t> credits() {
        std::vector<std::uint32_t> slots;
        for (const WriteRequest& request : endpoint.inner.posted)
            if (Immediate::decode(*request.immediate).message == Message::credit)
                slots.push_back(Immediate::decode(*request.immediate).slot);
        endpoint.inner.posted.clear();
        return slots;
    }
    void run(std::vector<std::function<void()>> steps) {
        std::size_t next = 0;
        endpoint.answer = [&](FakeEndpoint& inner) {
            if (next == steps.size())
                inner.cancel();
            else
                steps[next++]();
        };
        receiver->run();
        endpoint.inner.cancelled = false;
    }

    std::unique_ptr<Heap> heap = open_heap("memfd");
    ExposureMeter exposure;
    FakeNic nic;
    PathParts parts;
    ReceiveMemory memory;
    std::unique_ptr<ReceivePath> path;
    Verifier verifier;
    ReceiveMeter meter{0};
    FrameTap tap;
    HeldFrame held, other;
    AnsweringEndpoint endpoint;
    std::unique_ptr<Receiver> receiver;
};

TEST_F(ReceiverWithTap, TheNewestFrameWaitsAndTheOneBeforeIsGivenBack) {
    run({[&] { arrive(0, 0); },
         [&] {
             EXPECT_THAT(credits(), IsEmpty());
             arrive(1, 1);
         },
         [&] {
             EXPECT_THAT(credits(), ElementsAre(0));
             held = tap.take();
             ASSERT_TRUE(held);
             EXPECT_EQ(held.slot(), 1u);
             EXPECT_EQ(held.sequence(), 1u);
             EXPECT_FALSE(tap.take()) << "each frame once";
         }});
    EXPECT_THAT(credits(), IsEmpty());
}

TEST_F(ReceiverWithTap, AFrameThatIsLookedAtIsGivenBackWhenItIsDropped) {
    run({[&] { arrive(0, 0); },
         [&] {
             held = tap.take();
             arrive(1, 1);
         },
         [&] {
             EXPECT_THAT(credits(), IsEmpty()) << "one is looked at, one waits";
             held = {};
         },
         [&] { EXPECT_THAT(credits(), ElementsAre(0)); }});
}

TEST_F(ReceiverWithTap, TheEndOfABlockGivesBackWhatNobodyTook) {
    run({[&] { arrive(0, 0); },
         [&] {
             held = tap.take();
             arrive(1, 1);
             end_of_block(2);
         },
         [&] {
             EXPECT_THAT(credits(), ElementsAre(1));
             EXPECT_FALSE(tap.take());
             held.drop();
         },
         [&] { EXPECT_THAT(credits(), ElementsAre(0)); }});
}

TEST_F(ReceiverWithTap, WhoWaitsGetsTheNewestFrameAndThenWordOfTheBlocksEnd) {
    run({[&] { arrive(0, 0); },
         [&] {
             held = tap.wait(false).value();
             EXPECT_EQ(held.slot(), 0u);
             arrive(1, 1);
         },
         [&] {
             held = tap.wait(true).value();
             EXPECT_EQ(held.slot(), 1u);
             end_of_block(2);
         },
         [&] {
             EXPECT_THAT(credits(), ElementsAre(0));
             const std::optional<HeldFrame> none = tap.wait(true);
             ASSERT_TRUE(none);
             EXPECT_FALSE(*none) << "what is held keeps the block from ending";
             held.drop();
         },
         [&] {
             EXPECT_THAT(credits(), ElementsAre(1));
             arrive(2, 2);
         },
         [&] { EXPECT_EQ(tap.wait(true).value().slot(), 2u) << "of the next block"; }});
    tap.close();
    EXPECT_FALSE(tap.wait(false));
    EXPECT_FALSE(tap.wait(true));
}

TEST(FrameTap, WaitingEndsWhenItIsClosed) {
    FrameTap tap;
    std::optional<HeldFrame> frame(std::in_place);
    std::thread waits([&] { frame = tap.wait(false); });
    tap.close();
    waits.join();
    EXPECT_FALSE(frame);
}

// Whoever holds nothing is not woken by a block's end, but by the frame that comes after.
TEST(FrameTap, WaitingEndsWhenAFrameComes) {
    FakeNic nic;
    FakeEndpoint endpoint;
    const auto returns = std::make_shared<SlotReturns>(endpoint);
    FrameTap tap;
    EXPECT_FALSE(tap.withdraw());
    std::optional<HeldFrame> frame;
    std::thread waits([&] { frame = tap.wait(false); });
    EXPECT_FALSE(tap.offer(HeldFrame(returns, 3, 7), true));
    waits.join();
    ASSERT_TRUE(frame && *frame);
    EXPECT_EQ(frame->slot(), 3u);
    EXPECT_EQ(frame->sequence(), 7u);
}

TEST_F(ReceiverWithTap, OneSlotIsAlwaysLeftToTheSender) {
    std::vector<HeldFrame> all;
    run({[&] { arrive(0, 0); },
         [&] {
             all.push_back(tap.take());
             arrive(1, 1);
         },
         [&] {
             all.push_back(tap.take());
             arrive(2, 2);
         },
         [&] {
             all.push_back(tap.take());
             EXPECT_THAT(credits(), IsEmpty());
             arrive(3, 3);
         },
         [&] {
             EXPECT_THAT(credits(), ElementsAre(3)) << "it would have been the last";
             EXPECT_FALSE(tap.take());
             arrive(3, 4);
         },
         [&] {
             EXPECT_THAT(credits(), ElementsAre(3));
             all.pop_back();
             arrive(3, 5);
         },
         [&] {
             EXPECT_THAT(credits(), ElementsAre(2));
             EXPECT_EQ(tap.take().sequence(), 5u);
         },
         [&] { EXPECT_THAT(credits(), ElementsAre(3)); }});
    EXPECT_EQ(meter.frames.get(), 6u);
    EXPECT_EQ(meter.rejected.get(), 0u);
}

TEST_F(ReceiverWithTap, ABadFrameIsNotShown) {
    run({[&] { arrive(0, 0); },
         [&] { message(Message::frame, 1, 1, path->last_write_bytes() - 1); },
         [&] {
             EXPECT_THAT(credits(), ElementsAre(1));
             EXPECT_EQ(tap.take().sequence(), 0u) << "the good one before it still is";
         }});
    EXPECT_EQ(meter.corrupt.get(), 1u);
}

TEST_F(ReceiverWithTap, AWriteIntoASlotThatIsLookedAtIsRefused) {
    run({[&] { arrive(0, 0); },
         [&] {
             held = tap.take();
             arrive(0, 1); // a peer that does not wait for its credit
         },
         [&] { EXPECT_THAT(credits(), IsEmpty()); }});
    EXPECT_EQ(meter.rejected.get(), 1u);
    EXPECT_EQ(meter.frames.get(), 1u);
}

TEST_F(ReceiverWithTap, AFrameMayOutliveTheReceiver) {
    run({[&] { arrive(0, 0); }, [&] { held = tap.take(); }});
    receiver.reset();
    held.drop(); // wakes nobody
    EXPECT_EQ(endpoint.inner.wakes, 0);
}

TEST_F(ReceiverWithTap, MovingAFrameGivesBackTheOneBefore) {
    run({[&] { arrive(0, 0); },
         [&] {
             held = tap.take();
             arrive(1, 1);
         },
         [&] {
             other = tap.take();
             held = std::move(other);
             EXPECT_FALSE(other); // NOLINT(bugprone-use-after-move): it says so
             EXPECT_EQ(held.slot(), 1u);
         },
         [&] {
             EXPECT_THAT(credits(), ElementsAre(0));
             held = {};
         },
         [&] { EXPECT_THAT(credits(), ElementsAre(1)); }});
}

class ReceiverWithOneSlot : public ReceiverWithTap {
protected:
    ReceiverWithOneSlot() : ReceiverWithTap(1) {}
};

TEST_F(ReceiverWithOneSlot, NothingIsKept) {
    run({[&] { arrive(0, 0); },
         [&] {
             EXPECT_THAT(credits(), ElementsAre(0));
             EXPECT_FALSE(tap.take());
         }});
}

// Both ends, over the emulated NIC. ---------------------------------------------------------------

class SessionWithTap : public testing::TestWithParam<const char*> {
protected:
    SessionOptions options() const {
        return {.width = 160,
                .height = 90,
                .ring = 4,
                .seed = 5,
                .verify = Verify::full,
                .patience = 20 * one_second,
                .paths = {find_path(GetParam())}};
    }
    std::unique_ptr<Session> open(const std::string& nic_text, const SessionOptions& wanted) {
        nic = open_nic(nic_text);
        auto session = std::make_unique<Session>(wanted, SessionParts{.shared_heap = *heap,
                                                                      .private_heap = *heap,
                                                                      .nic = *nic,
                                                                      .exposure = exposure});
        session->set_scene(Scene::none);
        return session;
    }
    void run(Session& session, std::uint64_t frames) {
        session.run_block(0, {.frames = frames, .until = now() + 60 * one_second}, figures.sent,
                          figures.received, nullptr, &tap);
    }
    // The frame that the slot holds, as its stamps say; held by nobody but the caller.
    static std::uint64_t sequence_in(const Session& session, std::uint32_t slot) {
        const Mapping mapping = session.frames(0)[slot].map(Access::read);
        FrameHeader header;
        FrameTrailer trailer;
        std::memcpy(&header, mapping.bytes().data(), sizeof header);
        std::memcpy(&trailer, mapping.bytes().data() + session.layout().trailer_offset,
                    sizeof trailer);
        EXPECT_EQ(header.sequence, trailer.sequence);
        return header.sequence;
    }

    std::unique_ptr<Heap> heap = open_heap("memfd");
    ExposureMeter exposure;
    Figures figures;
    FrameTap tap;
    std::unique_ptr<Nic> nic;
};

INSTANTIATE_TEST_SUITE_P(Paths, SessionWithTap, testing::Values("zero-copy", "staging"),
                         [](const auto& path) {
                             return path.param == std::string_view("staging") ? "staging"
                                                                              : "zero_copy";
                         });

TEST_P(SessionWithTap, ABlockEndsWhenNobodyLooks) {
    for (const std::uint32_t ring : {1u, 2u, 3u, 256u}) {
        SessionOptions wanted = options();
        wanted.ring = ring;
        const auto session = open("emulated", wanted);
        for (const std::uint64_t frames : {1, 2, 3, 50})
            run(*session, frames);
        EXPECT_FALSE(tap.take()) << "what waited was given back at the end";
    }
    EXPECT_EQ(figures.received.frames.get(), 4u * 56);
    EXPECT_EQ(figures.received.lost.get() + figures.received.corrupt.get(), 0u);
}

// Whoever looks takes and drops as it likes, the stream runs: no frame is lost, no slot is written
// while it is looked at.
TEST_P(SessionWithTap, AFrameStaysAsItIsWhileItIsLookedAt) {
    for (const std::uint32_t ring : {2u, 3u, 8u}) {
        SessionOptions wanted = options();
        wanted.ring = ring;
        const auto session = open("emulated", wanted);
        std::atomic<bool> done{false};
        std::uint64_t looked = 0, last = 0;
        std::thread window([&] {
            while (!done) {
                HeldFrame frame = tap.take();
                if (!frame) {
                    std::this_thread::yield();
                    continue;
                }
                EXPECT_TRUE(looked == 0 || frame.sequence() > last);
                last = frame.sequence();
                ++looked;
                for (int again = 0; again < 3; ++again)
                    EXPECT_EQ(sequence_in(*session, frame.slot()), last);
                if (looked % 2) // on another thread than it was taken on
                    std::thread([dropped = std::move(frame)]() mutable { dropped = {}; }).join();
            }
        });
        std::uint64_t blocks = 0;
        for (; blocks < 20 || (looked == 0 && blocks < 10'000); ++blocks)
            run(*session, 25);
        done = true;
        window.join();
        EXPECT_GT(looked, 0u);
        EXPECT_TRUE(session->faults().faults().empty());
    }
    EXPECT_EQ(figures.sent.frames.get(), figures.received.frames.get());
    EXPECT_EQ(figures.received.lost.get() + figures.received.corrupt.get() +
                  figures.received.rejected.get(),
              0u);
}

// The block's end waits for a frame that is looked at, and for nothing else.
TEST_P(SessionWithTap, ABlockEndsOnceTheFrameIsDropped) {
    const auto session = open("emulated", options());
    std::atomic<bool> ended{false};
    HeldFrame frame;
    std::thread sender([&] {
        // Long enough to be caught, short enough not to be waited for.
        session->run_block(0, {.frames = ~0ull, .until = now() + 60 * one_second, .cut = &ended},
                           figures.sent, figures.received, nullptr, &tap);
    });
    while (!(frame = tap.take()))
        std::this_thread::yield();
    ended = true;
    EXPECT_EQ(sequence_in(*session, frame.slot()), frame.sequence());
    frame.drop();
    sender.join();
    EXPECT_EQ(figures.sent.frames.get(), figures.received.frames.get());
    run(*session, 10);
    EXPECT_TRUE(session->faults().faults().empty());
}

TEST_P(SessionWithTap, AFrameMayOutliveTheSession) {
    HeldFrame frame;
    {
        SessionOptions wanted = options();
        wanted.patience = one_second / 20; // the end of the block waits for the frame in vain
        const auto session = open("emulated", wanted);
        const FrameViewer take = [&](FrameView, std::uint64_t) {
            if (!frame)
                frame = tap.take();
        };
        EXPECT_THROW(session->run_block(0, {.frames = 8, .until = now() + 60 * one_second},
                                        figures.sent, figures.received, &take, &tap),
                     Error);
        EXPECT_TRUE(frame);
    }
    nic.reset();
    frame.drop();
}

TEST_P(SessionWithTap, AReceiverThatFailsLeavesTheFrameToItsUser) {
    HeldFrame frame;
    {
        const auto session = open("emulated:error=@7", options());
        const FrameViewer take = [&](FrameView, std::uint64_t) {
            if (!frame)
                frame = tap.take();
        };
        EXPECT_THROW(session->run_block(0, {.frames = 20, .until = now() + 60 * one_second},
                                        figures.sent, figures.received, &take, &tap),
                     Error);
        EXPECT_TRUE(frame);
        frame.drop(); // the receiver's thread is gone, the endpoint is not
        frame = tap.take();
    }
    frame.drop();
}

TEST_P(SessionWithTap, WhatIsVerifiedCanChangeBetweenBlocks) {
    const auto session = open("emulated", options());
    run(*session, 4);
    EXPECT_EQ(figures.received.verified_pixels.get(), 4u * 160 * 90);
    session->set_verify(Verify::off);
    run(*session, 4);
    EXPECT_EQ(figures.received.verified_pixels.get(), 4u * 160 * 90);
    session->set_verify(Verify::full);
    run(*session, 4);
    EXPECT_EQ(figures.received.verified_pixels.get(), 8u * 160 * 90);
    EXPECT_TRUE(session->faults().faults().empty());
}

} // namespace
} // namespace clearframe
