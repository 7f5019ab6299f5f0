// The program on a NIC of real verbs: frames of the real heap, registered as dma-bufs, written by
// RDMA into others.
#include "coco_guest/rdma.h"
#include "coco_guest/support.h"
#include "support/process.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <dlfcn.h>

#include <string>
#include <vector>

namespace clearframe::guest {
namespace {

using nlohmann::json;
using test::Finished;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class VerbsTest : public GuestTest {
protected:
    enum class Registers { dma_bufs, as_shipped, dma_bufs_of_its_own };

    static Finished bench(Registers how, std::vector<std::string> more) {
        std::vector<std::string> arguments = {"bench",    "--nic",   "verbs:device=rxe0",
                                              "--frames", "12",      "--warmup",
                                              "2",        "--block", "6",
                                              "--ring",   "4",       "--timeout",
                                              "60",       "--json",  "-"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        test::Command program{.arguments = std::move(arguments)};
        if (how != Registers::as_shipped)
            program.preload = {CLEARFRAME_RXE_REG_DMABUF};
        if (how == Registers::dma_bufs_of_its_own)
            program.preload.push_back(CLEARFRAME_RXE_ALLOC_BUF);
        return test::run(program);
    }

    static void expect_whole(const Finished& done, const char* scene) {
        ASSERT_EQ(done.status, 0) << done.describe();
        const json record = done.json();
        ASSERT_EQ(record["results"].size(), 1u);
        EXPECT_EQ(record["results"][0]["scene"], scene);
        for (const json& path : record["results"][0]["paths"]) {
            SCOPED_TRACE(path.dump());
            EXPECT_EQ(path["frames"], 12);
            EXPECT_EQ(path["lost"], 0);
            EXPECT_EQ(path["corrupt"], 0);
            EXPECT_EQ(path["rejected"], 0);
            const bool zero_copy = path["path"] == "zero-copy";
            EXPECT_EQ(path["cpu_copied_bytes"] == 0, zero_copy);
            EXPECT_EQ(path["same_buffer"], zero_copy);
        }
        const json& nic = record["parts"][2];
        EXPECT_EQ(nic["name"], "verbs");
        EXPECT_EQ(nic["emulated"], true);
        EXPECT_THAT(nic["emulation"].get<std::string>(), HasSubstr("soft-RoCE"));
        EXPECT_THAT(nic["detail"].get<std::string>(), HasSubstr("rxe0 port 1"));
    }
};

const std::vector<std::string> drawn = {
    "--heap",  "system_cc_shared", "--gpu", "llvmpipe", "--size",
    "320x200", "--verify",         "full",  "--scene",  "waves"};

// The whole chain: heap, Vulkan, dma-buf registration, RDMA WRITE, every pixel, no copy.
TEST_F(VerbsTest, FramesOfTheRealHeapTravelByRdmaWithNoCopy) {
    make_soft_roce();
    const BufferCount before = dma_bufs();
    expect_whole(bench(Registers::dma_bufs, drawn), "waves");
    EXPECT_EQ(dma_bufs(), before);
}

// As hardware in a confidential guest: ordinary memory is refused, the heap's is not.
TEST_F(VerbsTest, FramesOfTheRealHeapTravelWhereOrdinaryMemoryIsRefused) {
    make_soft_roce("--bounce");
    const BufferCount before = dma_bufs();
    expect_whole(bench(Registers::dma_bufs, drawn), "waves");
    EXPECT_EQ(dma_bufs(), before);

    const Finished refused = bench(Registers::as_shipped, {"--heap", "memfd", "--size", "64x64",
                                                           "--gpu", "none", "--scene", "none"});
    EXPECT_EQ(refused.status, 3) << refused.describe();
    EXPECT_THAT(refused.err, HasSubstr("ibv_reg_mr: EOPNOTSUPP"));
    EXPECT_EQ(dma_bufs(), before);
}

// As with rdma-core 65 and a driver that allocates: the buffers are the NIC's own.
TEST_F(VerbsTest, FramesLieInWhatTheNicAllocates) {
    const std::vector<std::string> of_the_nic = {"--heap",  "nic",     "--gpu",    "llvmpipe",
                                                 "--size",  "320x200", "--verify", "full",
                                                 "--scene", "waves"};
    make_soft_roce("--bounce");
    const BufferCount before = dma_bufs();
    const Finished done = bench(Registers::dma_bufs_of_its_own, of_the_nic);
    expect_whole(done, "waves");
    const json record = done.json();
    const json& heap = record["parts"][0];
    EXPECT_EQ(heap["name"], "nic");
    EXPECT_EQ(heap["emulated"], false);
    EXPECT_EQ(dma_bufs(), before);

    if (!dlsym(RTLD_DEFAULT, "ibv_export_buf_dmabuf_fd")) { // this system's library is older
        const Finished old = bench(Registers::dma_bufs, of_the_nic);
        EXPECT_EQ(old.status, 3) << old.describe();
        EXPECT_THAT(old.err, HasSubstr("has no ibv_export_buf_dmabuf_fd"));
        EXPECT_THAT(old.err, HasSubstr("Install rdma-core 65 or later"));
    }
    // Where ordinary memory would do, the driver takes that.
    make_soft_roce();
    const Finished ordinary = bench(Registers::dma_bufs_of_its_own, of_the_nic);
    EXPECT_EQ(ordinary.status, 3) << ordinary.describe();
    EXPECT_THAT(ordinary.err, HasSubstr("ibv_export_buf_dmabuf_fd: ENODATA"));
    EXPECT_EQ(dma_bufs(), before);
}

// Soft-RoCE as it is shipped: no dma-bufs, but memory that can be pinned.
TEST_F(VerbsTest, WithoutDmaBufsItTakesMemoryThatCanBePinned) {
    make_soft_roce();
    // udmabuf is tried in the ordinary guest: in this one it is refused.
    expect_whole(bench(Registers::as_shipped,
                       {"--heap", "memfd", "--size", "64x64", "--gpu", "none", "--scene", "none"}),
                 "none");
    const Finished refused = bench(
        Registers::as_shipped, {"--heap", "system_cc_shared", "--gpu", "none", "--scene", "none"});
    EXPECT_EQ(refused.status, 3) << refused.describe();
    EXPECT_THAT(refused.err, HasSubstr("ibv_reg_dmabuf_mr: EOPNOTSUPP"));
    EXPECT_THAT(refused.err, HasSubstr("ibv_reg_mr: EFAULT"));
}

// Frames over soft-RoCE's limit of 8 MiB a message go in pieces.
TEST_F(VerbsTest, LargeFramesGoInPieces) {
    make_soft_roce();
    expect_whole(
        bench(Registers::dma_bufs, {"--heap", "system_cc_shared", "--gpu", "none", "--scene",
                                    "none", "--size", "2200x1000", "--paths", "zero-copy"}),
        "none");
}

TEST_F(VerbsTest, WhatIsNotThereIsAClearError) {
    make_soft_roce();
    const auto refused = [](const char* nic, int status, const char* words) {
        const Finished done = test::run({.arguments = {"bench", "--nic", nic, "--gpu", "none",
                                                       "--scene", "none", "--seconds", "1"}});
        EXPECT_EQ(done.status, status) << done.describe();
        EXPECT_THAT(done.err, HasSubstr(words));
    };
    refused("verbs:device=mlx5_7", 2, "there is no RDMA device mlx5_7. Name one of: rxe0");
    refused("verbs:port=2", 3, "it has no port 2");
    refused("verbs:gid=200", 3, "ibv_query_gid_ex 200");
    refused("verbs:cq-moderation=8", 3, "ibv_modify_cq");
    const LinkDown down;
    refused("verbs:device=rxe0", 3, "port 1 is");
}

} // namespace
} // namespace clearframe::guest
