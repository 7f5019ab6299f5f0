// Both ends of a stream over the emulated NIC, without a GPU: every frame accounted for, whatever
// the NIC does to it.
#include "core/error.h"
#include "pipeline/session.h"
#include "support/files.h"
#include "unit/pipeline/support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

namespace clearframe {
namespace {

using test::Figures;
using test::open_descriptors;
using test::threads;

class SessionTest : public testing::Test {
protected:
    SessionOptions options() const {
        return {.width = 321,
                .height = 123,
                .ring = 4,
                .seed = 5,
                .verify = Verify::full,
                .patience = one_second,
                .paths = {find_path("zero-copy"), find_path("staging")}};
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
    void run(Session& session, std::size_t path, std::uint64_t frames) {
        session.run_block(path, {.frames = frames, .until = now() + 60 * one_second},
                          figures[path].sent, figures[path].received);
    }
    static testing::Matcher<const FrameFault&> fault(FrameFault::Kind kind,
                                                     std::uint64_t sequence) {
        return testing::AllOf(testing::Field(&FrameFault::kind, kind),
                              testing::Field(&FrameFault::sequence, sequence));
    }

    std::unique_ptr<Heap> heap = open_heap("memfd");
    ExposureMeter exposure;
    Figures figures[2]; // before the session, which writes to them to its end
    std::unique_ptr<Nic> nic;
};

TEST_F(SessionTest, EveryFrameArrivesAndIsVerifiedOnBothPaths) {
    const auto session = open("emulated", options());
    for (int round = 0; round < 3; ++round)
        for (const std::size_t path : {0u, 1u})
            run(*session, path, 20);
    for (const Figures& path : figures) {
        EXPECT_EQ(path.sent.frames.get(), 60u);
        EXPECT_EQ(path.received.frames.get(), 60u);
        EXPECT_EQ(path.received.verified_pixels.get(), 60u * 321 * 123);
        EXPECT_EQ(path.received.latency.count(), 60u);
        EXPECT_EQ(path.received.throughput.total().frames, 57u); // the first of a block starts it
    }
    const std::uint64_t bytes = session->layout().bytes;
    EXPECT_EQ(figures[0].sent.copied_bytes.get() + figures[0].received.copied_bytes.get(), 0u);
    EXPECT_EQ(figures[1].sent.copied_bytes.get(), 60 * bytes);
    EXPECT_EQ(figures[1].received.copied_bytes.get(), 60 * bytes);
    EXPECT_TRUE(session->same_buffer(0));
    EXPECT_FALSE(session->same_buffer(1)) << "staging sends from its pool";
}

TEST_F(SessionTest, WorksWithARingOfOneAndWithTheLargest) {
    for (const std::uint32_t ring : {1u, 256u}) {
        SessionOptions wanted = options();
        wanted.ring = ring;
        const auto session = open("emulated", wanted);
        run(*session, 0, 300);
        run(*session, 1, 300);
    }
    EXPECT_EQ(figures[0].received.frames.get(), 600u);
    EXPECT_EQ(figures[1].received.frames.get(), 600u);
}

TEST_F(SessionTest, WorksWithFramesOfEveryShape) {
    for (const auto& [width, height] :
         {std::pair{1u, 1u}, {1u, 500u}, {16384u, 1u}, {257u, 255u}}) {
        SessionOptions wanted = options();
        wanted.width = width;
        wanted.height = height;
        const auto session = open("emulated", wanted);
        run(*session, 0, 9);
        run(*session, 1, 9);
        EXPECT_TRUE(session->faults().faults().empty());
    }
    EXPECT_EQ(figures[1].received.frames.get(), 36u);
}

TEST_F(SessionTest, AStagingPoolSmallerThanAFrameStillWorks) {
    SessionOptions wanted = options();
    wanted.width = 1000;
    wanted.height = 300; // 1.2 MB
    wanted.staging.pool_bytes = swiotlb_mapping;
    const auto session = open("emulated", wanted);
    run(*session, 1, 30);
    EXPECT_EQ(figures[1].received.frames.get(), 30u);
    EXPECT_GT(figures[1].sent.pool_waits.get(), 0u);
    EXPECT_TRUE(session->faults().faults().empty());
}

TEST_F(SessionTest, BouncingForTheGpuTooWorks) {
    SessionOptions wanted = options();
    wanted.bounce = Bounce::both;
    const auto session = open("emulated", wanted);
    run(*session, 1, 20);
    EXPECT_EQ(figures[1].sent.copied_bytes.get(), 20 * 2 * session->layout().bytes);
    EXPECT_EQ(figures[1].received.copied_bytes.get(), 20 * 2 * session->layout().bytes);
    EXPECT_TRUE(session->faults().faults().empty());
}

TEST_F(SessionTest, NoticesADroppedFrame) {
    for (const std::uint64_t frame : {0u, 7u, 19u}) { // the last one has no successor to show it
        for (const std::size_t path : {0u, 1u}) {
            Figures& f = figures[path];
            const std::uint64_t lost_before = f.received.lost.get();
            const auto session = open("emulated:drop=@" + std::to_string(frame), options());
            run(*session, path, 20);
            EXPECT_EQ(f.received.lost.get() - lost_before, 1u);
            EXPECT_EQ(f.sent.lost.get(), f.received.lost.get());
            EXPECT_THAT(session->faults().faults(),
                        testing::ElementsAre(fault(FrameFault::Kind::lost, frame)));
            run(*session, path, 5); // and the slot has come back
        }
    }
}

TEST_F(SessionTest, NoticesACorruptFrame) {
    const auto session = open("emulated:corrupt=@7", options());
    run(*session, 0, 20);
    EXPECT_EQ(figures[0].received.corrupt.get(), 1u);
    ASSERT_EQ(session->faults().faults().size(), 1u);
    EXPECT_EQ(session->faults().faults()[0].sequence, 7u);
}

TEST_F(SessionTest, NoticesATornFrame) {
    const auto session = open("emulated:torn=@7", options());
    run(*session, 0, 20);
    EXPECT_EQ(figures[0].received.corrupt.get(), 1u);
    ASSERT_EQ(session->faults().faults().size(), 1u);
    EXPECT_EQ(session->faults().faults()[0].stamp, StampFault::torn);
}

TEST_F(SessionTest, NoticesAFrameThatIsAnnouncedBeforeItIsThere) {
    const auto session = open("emulated:late=@7", options());
    run(*session, 0, 20);
    EXPECT_EQ(figures[0].received.corrupt.get(), 1u);
    ASSERT_EQ(session->faults().faults().size(), 1u);
    EXPECT_EQ(session->faults().faults()[0].stamp, StampFault::stale);
    EXPECT_EQ(session->faults().faults()[0].found_sequence, 3u); // of the ring's turn before
}

TEST_F(SessionTest, NoticesAWrongLength) {
    for (const std::size_t path : {0u, 1u}) {
        const auto session = open("emulated:wrong-length=@7", options());
        run(*session, path, 20);
        EXPECT_THAT(session->faults().faults(),
                    testing::ElementsAre(fault(FrameFault::Kind::length, 7)));
    }
}

TEST_F(SessionTest, NoticesAWrongImmediate) {
    const auto session = open("emulated:wrong-immediate=@7", options());
    try {
        run(*session, 0, 20);
        EXPECT_GT(figures[0].received.lost.get() + figures[0].received.corrupt.get(), 0u);
    } catch (const Error& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("fits no frame in flight"));
    }
}

TEST_F(SessionTest, EndsWithTheNativeCodeWhenTheEngineFails) {
    for (const std::size_t path : {0u, 1u}) {
        const auto session = open("emulated:error=@7", options());
        try {
            run(*session, path, 20);
            ADD_FAILURE() << "nothing was thrown";
        } catch (const Error& error) {
            EXPECT_THAT(error.what(), testing::HasSubstr("sending frame 7 to slot"));
            EXPECT_THAT(error.what(), testing::HasSubstr("IBV_WC_REM_ACCESS_ERR (10)"));
        }
    }
}

TEST_F(SessionTest, EndsWhenNothingMovesAnyMore) {
    SessionOptions wanted = options();
    wanted.patience = one_second / 20;
    const auto session = open("emulated:stall=@7", wanted);
    try {
        run(*session, 0, 20);
        ADD_FAILURE() << "nothing was thrown";
    } catch (const Error& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("nothing completed for 50.00 ms"));
    }
}

TEST_F(SessionTest, AccountsForEveryFrameUnderRandomFaults) {
    const auto session = open("emulated:drop=0.1,corrupt=0.1,torn=0.1,late=0.1,wrong-length=0.1,"
                              "seed=11",
                              options());
    for (int round = 0; round < 10; ++round)
        for (const std::size_t path : {0u, 1u})
            run(*session, path, 50);
    for (const Figures& path : figures) {
        EXPECT_EQ(path.sent.frames.get(), 500u);
        EXPECT_EQ(path.received.frames.get() + path.received.lost.get(), 500u);
        EXPECT_EQ(path.sent.lost.get(), path.received.lost.get());
        EXPECT_GT(path.received.lost.get(), 0u);
        EXPECT_GT(path.received.corrupt.get(), 0u);
        EXPECT_EQ(path.received.rejected.get(), 0u);
    }
}

// The kernel shows a thread for a moment after it has been joined.
std::size_t threads_once_at_most(std::size_t expected) {
    const Nanoseconds deadline = now() + 10 * one_second;
    while (threads() > expected && now() < deadline)
        std::this_thread::yield();
    return threads();
}

TEST_F(SessionTest, GivesEverythingBack) {
    {
        const auto first = open("emulated", options()); // a sanitizer starts its own thread now
        run(*first, 0, 1);
    }
    nic.reset();
    const std::size_t fds = open_descriptors();
    const std::size_t running = threads();
    for (const char* text : {"emulated", "emulated:error=@3", "emulated:stall=@3"}) {
        for (int round = 0; round < 5; ++round) {
            SessionOptions wanted = options();
            wanted.patience = one_second / 50;
            const auto session = open(text, wanted);
            try {
                run(*session, 0, 10);
            } catch (const Error&) {
            }
        }
        nic.reset();
        EXPECT_EQ(open_descriptors(), fds) << text;
        EXPECT_LE(threads_once_at_most(running), running) << text;
        EXPECT_EQ(exposure.now_bytes(), 0u) << text;
        EXPECT_EQ(exposure.unzeroed_bytes(), 0u) << text;
    }
}

TEST_F(SessionTest, LimitsAreMeasuredOnItsOwnBuffers) {
    const auto session = open("emulated", options());
    LimitProbe probe = session->make_limit_probe();
    probe.measure(1'000'000);
    probe.measure(1'000'000);
    const Limits limits = probe.result();
    EXPECT_GT(limits.dma_gbytes_per_s, 0);
    EXPECT_GT(limits.copy_gbytes_per_s, 0);
    EXPECT_FALSE(limits.copy_method.empty());
    run(*session, 0, 10); // and the stream goes on
    EXPECT_TRUE(session->faults().faults().empty());
}

TEST_F(SessionTest, AViewerSeesTheGoodFrames) {
    const auto session = open("emulated:corrupt=@3", options());
    std::vector<std::uint64_t> seen;
    const FrameViewer viewer = [&](FrameView frame, std::uint64_t sequence) {
        EXPECT_EQ(frame.size(), session->layout().bytes);
        seen.push_back(sequence);
    };
    session->run_block(0, {.frames = 6, .until = now() + 60 * one_second}, figures[0].sent,
                       figures[0].received, &viewer);
    EXPECT_THAT(seen, testing::ElementsAre(0, 1, 2, 4, 5));
}

} // namespace
} // namespace clearframe
