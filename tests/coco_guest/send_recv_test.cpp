// clearframe send and recv in the guest: two processes, frames of the real heap, real verbs.
#include "coco_guest/rdma.h"
#include "coco_guest/support.h"
#include "support/beside.h"
#include "support/files.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace clearframe::guest {
namespace {

using nlohmann::json;
using test::Finished;
using test::Receiver;
using test::with;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SendRecvTest : public GuestTest {
protected:
    static Finished send(const Receiver& receiver, const std::string& nic,
                         const std::vector<std::string>& more,
                         const std::vector<std::filesystem::path>& preload) {
        return test::run({.arguments = with({"send", receiver.address(), "--nic", nic, "--frames",
                                             "12", "--warmup", "2", "--block", "6", "--ring", "4",
                                             "--verify", "full", "--timeout", "60", "--json", "-"},
                                            more),
                          .preload = preload});
    }

    // The mission's whole chain, between two processes.
    void expect_whole_chain(const std::string& receivers_nic = "verbs:device=rxe0",
                            const std::string& senders_nic = "verbs:device=rxe0") {
        const BufferCount before = dma_bufs();
        const test::TemporaryDirectory files;
        const std::string record = (files / "received.json").string();
        const std::vector<std::filesystem::path> preload{CLEARFRAME_RXE_REG_DMABUF};
        Receiver receiver({"--nic", receivers_nic, "--heap", "system_cc_shared", "--timeout", "60",
                           "--json", record},
                          {.preload = preload});
        const Finished sent = send(receiver, senders_nic,
                                   {"--heap", "system_cc_shared", "--gpu", "llvmpipe", "--scene",
                                    "waves", "--size", "320x200"},
                                   preload);
        const Finished& received = receiver.finish();
        ASSERT_EQ(sent.status, 0) << sent.describe() << received.describe();
        ASSERT_EQ(received.status, 0) << received.describe();
        const json theirs = sent.json();
        const json ours = json::parse(test::read_file(record));
        for (const json& record_of : {theirs, ours}) {
            EXPECT_EQ(record_of["parts"][0]["name"], "system_cc_shared");
            EXPECT_EQ(record_of["parts"][0]["emulated"], false);
            EXPECT_EQ(record_of["peer"]["parts"][0]["name"], "system_cc_shared");
            ASSERT_EQ(record_of["results"].size(), 1u);
            EXPECT_EQ(record_of["results"][0]["scene"], "waves");
            for (const json& path : record_of["results"][0]["paths"]) {
                SCOPED_TRACE(path.dump());
                EXPECT_EQ(path["lost"], 0);
                EXPECT_EQ(path["corrupt"], 0);
                EXPECT_EQ(path["rejected"], 0);
                EXPECT_EQ(path["verified_pixels"].get<std::uint64_t>(),
                          path["frames"].get<std::uint64_t>() * 320 * 200);
                const bool zero_copy = path["path"] == "zero-copy";
                EXPECT_EQ(path["cpu_copied_bytes"] == 0, zero_copy);
                EXPECT_EQ(path["same_buffer"], zero_copy);
            }
        }
        EXPECT_THAT(theirs["emulated"].get<std::vector<std::string>>(),
                    ElementsAre("gpu", "nic", "receiver nic"));
        EXPECT_EQ(dma_bufs(), before);
    }
};

TEST_F(SendRecvTest, FramesOfTheRealHeapTravelBetweenProcesses) {
    make_soft_roce();
    expect_whole_chain();
}

// From one device to another, over their wire, on two queue pairs.
TEST_F(SendRecvTest, FramesOfTheRealHeapTravelBetweenDevices) {
    make_soft_roce("--two");
    expect_whole_chain("verbs:device=rxe0,qps=2", "verbs:device=rxe1,qps=2");
}

TEST_F(SendRecvTest, FramesOfTheRealHeapTravelWhereOrdinaryMemoryIsRefused) {
    make_soft_roce("--bounce");
    expect_whole_chain();
}

// Received frames on a screen, in the buffers that another process's NIC wrote into.
TEST_F(SendRecvTest, ReceivedFramesAreShownWithNoCopy) {
    make_soft_roce();
    const std::vector<std::filesystem::path> preload{CLEARFRAME_RXE_REG_DMABUF};
    const BufferCount before = dma_bufs();
    for (const std::string screen : {"bochs-drm", "vkms"}) {
        const test::TemporaryDirectory files;
        const std::string record = (files / "received.json").string();
        Receiver receiver({"--nic", "verbs:device=rxe0", "--heap", "system_cc_shared", "--timeout",
                           "60", "--json", record, "--present", "kms:" + screen},
                          {.preload = preload});
        const Finished sent = send(receiver, "verbs:device=rxe0",
                                   {"--heap", "system_cc_shared", "--gpu", "llvmpipe", "--scene",
                                    "waves", "--size", "640x480", "--paths", "zero-copy"},
                                   preload);
        ASSERT_EQ(sent.status, 0) << sent.describe() << receiver.finish().describe();
        ASSERT_EQ(receiver.finish().status, 0) << receiver.finish().describe();
        const json shown = json::parse(test::read_file(record))["presented"];
        EXPECT_EQ(shown["driver"], screen);
        EXPECT_GT(shown["frames"], 0);
        EXPECT_EQ(shown["same_buffer"], true);
    }
    EXPECT_EQ(dma_bufs(), before);
}

// The kernel ends a killed process's queue pair: the other end's work is flushed.
TEST_F(SendRecvTest, AKilledSenderOrReceiverEndsTheOther) {
    make_soft_roce();
    const std::vector<std::string> endless{"--nic",     "verbs:device=rxe0",
                                           "--heap",    "memfd",
                                           "--gpu",     "none",
                                           "--size",    "64x64",
                                           "--ring",    "4",
                                           "--seconds", "600"};
    Receiver receiver(
        {"--nic", "verbs:device=rxe0", "--heap", "memfd", "--keep", "--timeout", "60"});
    {
        test::Beside sender({.arguments = with({"send", receiver.address()}, endless)},
                            "receiver 127.0.0.1:");
        sender.signal(SIGKILL);
        EXPECT_EQ(sender.finish().signal, SIGKILL) << sender.finish().describe();
    }
    // It takes the next one.
    const std::vector<std::string> small{"--heap", "memfd", "--gpu", "none", "--size", "64x64"};
    Finished next;
    do
        next = send(receiver, "verbs:device=rxe0", small, {});
    while (next.status == 3 && next.err.find("busy") != std::string::npos);
    EXPECT_EQ(next.status, 0) << next.describe();

    test::Beside sender({.arguments = with({"send", receiver.address()}, endless)},
                        "receiver 127.0.0.1:");
    receiver.signal(SIGKILL);
    EXPECT_EQ(sender.finish().status, 1) << sender.finish().describe();
}

TEST_F(SendRecvTest, ADeadLinkEndsBothEnds) {
    make_soft_roce();
    Receiver receiver({"--nic", "verbs:device=rxe0", "--heap", "memfd", "--timeout", "20"});
    test::Beside sender(
        {.arguments = {"send", receiver.address(), "--nic", "verbs:device=rxe0", "--heap", "memfd",
                       "--gpu", "none", "--size", "64x64", "--seconds", "600", "--timeout", "20"}},
        "receiver 127.0.0.1:");
    const LinkDown down;
    EXPECT_EQ(sender.finish().status, 1) << sender.finish().describe();
    EXPECT_EQ(receiver.finish().status, 1) << receiver.finish().describe();
    EXPECT_THAT(sender.finish().err + receiver.finish().err, HasSubstr("NIC"));
}

} // namespace
} // namespace clearframe::guest
