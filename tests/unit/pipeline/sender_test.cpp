// The sender against a NIC and a peer that misbehave: completions and messages are hostile.
#include "core/error.h"
#include "pipeline/sender.h"
#include "support/fake_nic.h"
#include "wire/immediate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace clearframe {
namespace {

// Frames that are finished at once, or never.
class FakeSource final : public FrameSource {
public:
    Scene scene() const override { return Scene::none; }
    void begin(std::uint32_t, const FrameStamp& stamp) override { begun = stamp.sequence; }
    bool wait(std::uint32_t, Nanoseconds) override { return ready; }

    std::uint64_t begun = 0;
    bool ready = true;
};

// Posts one write a frame.
class FakePath final : public SendPath {
public:
    explicit FakePath(FakeEndpoint& endpoint) : endpoint_(endpoint) {}
    std::span<const DmaBuf> slots() const override { return {}; }
    std::vector<const MemoryRegion*> regions() const override { return {}; }
    bool frees_slot_when_posted() const override { return false; }
    Progress advance(OutgoingFrame& frame, SendMeter&) override {
        WriteTag tag = frame.tag;
        tag.last = true;
        WriteRequest request;
        request.wr_id = tag.encode();
        request.immediate = frame.immediate;
        frame.first_post = now();
        return endpoint_.post({&request, 1}) == 1 ? Progress::posted : Progress::blocked;
    }
    void completed(const WriteTag&) override { ++completions; }

    int completions = 0;

private:
    FakeEndpoint& endpoint_;
};

class SenderTest : public testing::Test {
protected:
    void run(std::uint64_t frames) {
        sender.run_block({path, source, ring, meter},
                         {.frames = frames, .until = now() + one_second});
    }
    // The text of the Error that a block of 4 frames ends with.
    std::string failure() {
        try {
            run(4);
        } catch (const Error& error) {
            EXPECT_EQ(error.failure(), Failure::run);
            return error.what();
        }
        return "no error";
    }
    static Completion written(const WriteRequest& request) { return {.wr_id = request.wr_id}; }
    static Completion message(Message kind, std::uint32_t slot, std::uint64_t sequence) {
        return {.opcode = WcOpcode::receive_with_immediate,
                .immediate = Immediate::of(kind, slot, sequence).encode()};
    }
    // Completes and credits every frame posted.
    static void behave(FakeEndpoint& peer) {
        for (const WriteRequest& request : peer.posted) {
            peer.completions.push_back(written(request));
            const Immediate immediate = Immediate::decode(*request.immediate);
            if (immediate.message == Message::frame)
                peer.completions.push_back(
                    message(Message::credit, immediate.slot, immediate.sequence_low));
        }
        peer.posted.clear();
        peer.room = 1024;
    }

    AnsweringEndpoint endpoint;
    FakePath path{endpoint.inner};
    FakeSource source;
    Ring ring{2};
    SendMeter meter;
    const std::vector<RemoteSlot> remote{{0, 1}, {0, 2}};
    Sender sender{endpoint, remote, one_second};
};

TEST_F(SenderTest, SendsABlockAndComesToRest) {
    endpoint.answer = behave;
    run(5);
    EXPECT_EQ(meter.frames.get(), 5u);
    EXPECT_EQ(path.completions, 5);
    EXPECT_EQ(ring.count(SlotState::free), 2u);
    run(3);
    EXPECT_EQ(source.begun, 7u) << "sequences go on from block to block";
    EXPECT_EQ(meter.stale_completions.get(), 0u);
}

// What the NIC says of the time counts, as far as it can be.
TEST_F(SenderTest, TimesTheWireByTheNic) {
    for (const Nanoseconds off : {Nanoseconds{0}, -one_hour, one_hour}) {
        SendMeter fresh;
        const Nanoseconds start = now();
        endpoint.answer = [&](FakeEndpoint& peer) {
            behave(peer);
            for (Completion& completion : peer.completions)
                completion.time = now() + off;
        };
        sender.run_block({path, source, ring, fresh}, {.frames = 3, .until = start + one_second});
        ASSERT_EQ(fresh.wire.count(), 3u);
        EXPECT_LE(fresh.wire.max(), now() - start);
        if (off < 0) {
            EXPECT_EQ(fresh.wire.max(), 0) << "done before it was posted";
        }
    }
}

TEST_F(SenderTest, EndsABlockWithTheNumberOfFramesSent) {
    std::vector<Immediate> ends;
    endpoint.answer = [&](FakeEndpoint& peer) {
        for (const WriteRequest& request : peer.posted)
            if (Immediate::decode(*request.immediate).message == Message::end)
                ends.push_back(Immediate::decode(*request.immediate));
        behave(peer);
    };
    run(5);
    ASSERT_EQ(ends.size(), 1u);
    EXPECT_EQ(ends[0].sequence_low, 5u);
}

TEST_F(SenderTest, CountsWhatTheReceiverNeverGot) {
    endpoint.answer = [](FakeEndpoint& peer) {
        for (const WriteRequest& request : peer.posted) {
            peer.completions.push_back(written(request));
            const Immediate immediate = Immediate::decode(*request.immediate);
            if (immediate.message == Message::frame)
                peer.completions.push_back(
                    immediate.sequence_low == 2
                        ? message(Message::lost, 0, 2)
                        : message(Message::credit, immediate.slot, immediate.sequence_low));
        }
        peer.posted.clear();
    };
    run(4);
    EXPECT_EQ(meter.lost.get(), 1u);
    EXPECT_EQ(ring.count(SlotState::free), 2u);
}

TEST_F(SenderTest, IgnoresCompletionsOfAnEarlierUseAndOfNoSlotAtAll) {
    endpoint.answer = [](FakeEndpoint& peer) {
        for (const WriteTag tag : {WriteTag{.generation = 0, .remote_slot = 0, .last = true},
                                   WriteTag{.generation = 99, .remote_slot = 1, .last = true},
                                   WriteTag{.generation = 1, .remote_slot = 200, .last = true}})
            peer.completions.push_back({.wr_id = tag.encode()});
        behave(peer);
    };
    run(2);
    EXPECT_EQ(meter.stale_completions.get(), 3u);
    EXPECT_EQ(path.completions, 2) << "the path must not see them";
    EXPECT_EQ(ring.count(SlotState::free), 2u);
}

TEST_F(SenderTest, DoesNotFreeASlotThatIsCreditedBeforeItIsWritten) {
    // Credit alone: the write has not completed, its memory may still be read by the NIC.
    endpoint.answer = [](FakeEndpoint& peer) {
        for (const WriteRequest& request : peer.posted) {
            const Immediate immediate = Immediate::decode(*request.immediate);
            if (immediate.message == Message::frame)
                peer.completions.push_back(
                    message(Message::credit, immediate.slot, immediate.sequence_low));
        }
        peer.posted.clear();
    };
    EXPECT_THAT(failure(), testing::HasSubstr("nothing completed for 1.00 s with 2 frames"));
    EXPECT_EQ(ring.count(SlotState::posted), 2u);
}

TEST_F(SenderTest, RefusesACreditForASlotThatIsNotInFlight) {
    endpoint.answer = [](FakeEndpoint& peer) {
        peer.completions.push_back(message(Message::credit, 200, 0));
    };
    EXPECT_THAT(failure(), testing::HasSubstr("fits no frame in flight"));
}

TEST_F(SenderTest, RefusesACreditForTheWrongFrame) {
    endpoint.answer = [](FakeEndpoint& peer) {
        peer.completions.push_back(message(Message::credit, 0, 77));
    };
    EXPECT_THAT(failure(), testing::HasSubstr("fits no frame in flight"));
}

TEST_F(SenderTest, RefusesTheSameCreditTwice) {
    endpoint.answer = [](FakeEndpoint& peer) {
        peer.completions.push_back(message(Message::credit, 0, 0));
        peer.completions.push_back(message(Message::credit, 0, 0));
    };
    EXPECT_THAT(failure(), testing::HasSubstr("fits no frame in flight"));
}

TEST_F(SenderTest, RefusesMessagesThatAreNotForASender) {
    endpoint.answer = [](FakeEndpoint& peer) {
        peer.completions.push_back(message(Message::frame, 0, 0));
    };
    EXPECT_THAT(failure(), testing::HasSubstr("fits no frame in flight"));
}

TEST_F(SenderTest, SaysWhichFrameAFailedWriteCarried) {
    endpoint.answer = [](FakeEndpoint& peer) {
        Completion failed = written(peer.posted.at(1));
        failed.status = WcStatus::remote_access_error;
        failed.vendor_error = 0x88;
        peer.completions.push_back(failed);
    };
    EXPECT_THAT(failure(), testing::AllOf(testing::HasSubstr("sending frame 1 to slot 1 failed"),
                                          testing::HasSubstr("IBV_WC_REM_ACCESS_ERR (10)"),
                                          testing::HasSubstr("vendor error 0x88")));
}

TEST_F(SenderTest, GivesUpOnALinkThatHasStopped) {
    EXPECT_THAT(failure(), testing::HasSubstr("NIC: nothing completed for 1.00 s"));
}

TEST_F(SenderTest, GivesUpOnAGpuThatHasStopped) {
    source.ready = false;
    EXPECT_THAT(failure(), testing::HasSubstr("GPU: frame 0 was not finished within 1.00 s"));
}

TEST_F(SenderTest, EndsWhenItIsCancelled) {
    endpoint.answer = [](FakeEndpoint& peer) { peer.cancel(); };
    EXPECT_THAT(failure(), testing::HasSubstr("cancelled"));
}

TEST_F(SenderTest, StopsBeginningFramesAndFinishesTheOthers) {
    endpoint.answer = [&](FakeEndpoint& peer) {
        sender.stop();
        behave(peer);
    };
    run(1000);
    EXPECT_EQ(meter.frames.get(), 2u);
    EXPECT_EQ(ring.count(SlotState::free), 2u);
    run(1000);
    EXPECT_EQ(meter.frames.get(), 2u) << "later blocks are empty";
}

TEST_F(SenderTest, GoesOnAfterAFullQueue) {
    endpoint.inner.room = 1;
    endpoint.answer = behave;
    run(4);
    EXPECT_EQ(meter.frames.get(), 4u);
}

} // namespace
} // namespace clearframe
