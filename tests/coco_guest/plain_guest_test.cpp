// The same kernel as an ordinary guest: no heap of shared memory, no forced bounce buffers.
#include "coco_guest/edu.h"
#include "coco_guest/rdma.h"
#include "coco_guest/support.h"
#include "memory/guest.h"
#include "support/beside.h"
#include "support/process.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace clearframe::guest {
namespace {

using ::testing::HasSubstr;

class PlainGuestTest : public GuestTest {};

TEST_F(PlainGuestTest, HasNoHeapOfSharedMemory) {
    EXPECT_FALSE(std::filesystem::exists("/dev/dma_heap/system_cc_shared"));
    EXPECT_TRUE(std::filesystem::exists("/dev/dma_heap/system"));
    EXPECT_EQ(detect_guest().kind, "none");
    const std::vector<Candidate> heaps = probe_heaps();
    EXPECT_EQ(heaps[choose("heap", "auto", heaps).index].name, "system");
    ASSERT_EQ(heaps[0].name, shared_heap);
    EXPECT_FALSE(heaps[0].usable);
    EXPECT_THAT(heaps[0].refusal, HasSubstr("confidential guest"));
}

TEST_F(PlainGuestTest, MapsOrdinaryMemoryForADeviceDirectly) {
    for (const std::size_t size : {std::size_t{16} << 10, std::size_t{8} << 20}) {
        const DmaBuf buffer = allocate("system", size);
        Edu edu;
        ASSERT_EQ(edu.map(buffer.fd()), 0) << size;
        EXPECT_EQ(edu.mapped().direct, edu.mapped().segments);
        EXPECT_EQ(edu.mapped().dma_address, edu.mapped().physical);
    }
}

// Soft-RoCE as it is shipped takes no dma-buf, but the memfd under a udmabuf, whose pages it pins.
TEST_F(PlainGuestTest, SendsFramesOfUdmabufByRdmaWithNoCopy) {
    make_soft_roce();
    const BufferCount before = dma_bufs();
    const clearframe::test::Finished done = clearframe::test::run(
        {.arguments = {"bench",     "--nic",    "verbs",   "--heap",    "udmabuf", "--gpu",
                       "llvmpipe",  "--size",   "320x200", "--scene",   "waves",   "--verify",
                       "full",      "--frames", "12",      "--warmup",  "2",       "--block",
                       "6",         "--ring",   "4",       "--timeout", "60",      "--paths",
                       "zero-copy", "--json",   "-"}});
    ASSERT_EQ(done.status, 0) << done.describe();
    const nlohmann::json path = done.json()["results"][0]["paths"][0];
    EXPECT_EQ(path["frames"], 12);
    EXPECT_EQ(path["corrupt"], 0);
    EXPECT_EQ(path["cpu_copied_bytes"], 0);
    EXPECT_EQ(path["same_buffer"], true);
    EXPECT_EQ(dma_bufs(), before);
}

// The same between two processes.
TEST_F(PlainGuestTest, SendsFramesOfUdmabufToAnotherProcessWithNoCopy) {
    make_soft_roce();
    const BufferCount before = dma_bufs();
    clearframe::test::Receiver receiver(
        {"--nic", "verbs:device=rxe0", "--heap", "udmabuf", "--timeout", "60"});
    const clearframe::test::Finished sent =
        clearframe::test::run({.arguments = {"send",      receiver.address(),
                                             "--nic",     "verbs",
                                             "--heap",    "udmabuf",
                                             "--gpu",     "llvmpipe",
                                             "--size",    "320x200",
                                             "--scene",   "waves",
                                             "--verify",  "full",
                                             "--frames",  "12",
                                             "--warmup",  "2",
                                             "--block",   "6",
                                             "--ring",    "4",
                                             "--timeout", "60",
                                             "--paths",   "zero-copy",
                                             "--json",    "-"}});
    ASSERT_EQ(sent.status, 0) << sent.describe();
    EXPECT_EQ(receiver.finish().status, 0) << receiver.finish().describe();
    const nlohmann::json path = sent.json()["results"][0]["paths"][0];
    EXPECT_EQ(path["frames"], 12);
    EXPECT_EQ(path["corrupt"], 0);
    EXPECT_EQ(path["verified_pixels"], 12 * 320 * 200);
    EXPECT_EQ(path["cpu_copied_bytes"], 0);
    EXPECT_EQ(path["same_buffer"], true);
    EXPECT_EQ(dma_bufs(), before);
}

} // namespace
} // namespace clearframe::guest
