// The program itself in the guest: real frames in the real heap of shared memory.
#include "coco_guest/support.h"
#include "support/process.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace clearframe::guest {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;

class BenchTest : public GuestTest {};

const json& part(const json& record, const std::string& kind) {
    for (const json& part : record["parts"])
        if (part["kind"] == kind)
            return part;
    throw Error(Failure::run, "the record has no part " + kind, {}, {});
}

TEST_F(BenchTest, VerifiesEveryFrameInTheRealHeap) {
    constexpr int frames = 16;
    const BufferCount before = dma_bufs();
    const clearframe::test::Finished done =
        clearframe::test::run({.arguments = {"bench",      "--heap",    "system_cc_shared",
                                             "--gpu",      "llvmpipe",  "--verify",
                                             "full",       "--size",    "320x200",
                                             "--frames",   "16",        "--warmup",
                                             "4",          "--block",   "8",
                                             "--ring",     "4",         "--scene",
                                             "none,waves", "--require", "heap",
                                             "--timeout",  "60",        "--json",
                                             "-"}});
    ASSERT_EQ(done.status, 0) << done.describe();
    const json record = done.json();

    EXPECT_EQ(part(record, "heap")["name"], shared_heap);
    EXPECT_EQ(part(record, "heap")["emulated"], false);
    EXPECT_THAT(record["emulated"].get<std::vector<std::string>>(), ElementsAre("gpu", "nic"));
    EXPECT_EQ(record["environment"]["guest"], "unknown");
    EXPECT_GT(record["host_readable_bytes"], 0);

    ASSERT_EQ(record["results"].size(), 2u);
    for (const json& scene : record["results"])
        for (const json& path : scene["paths"]) {
            SCOPED_TRACE(path.dump());
            EXPECT_EQ(path["frames"], frames);
            EXPECT_EQ(path["lost"], 0);
            EXPECT_EQ(path["corrupt"], 0);
            EXPECT_EQ(path["rejected"], 0);
            EXPECT_EQ(path["verified_pixels"], frames * 320 * 200);
            const bool zero_copy = path["path"] == "zero-copy";
            EXPECT_EQ(path["cpu_copied_bytes"] == 0, zero_copy);
            EXPECT_EQ(path["same_buffer"], zero_copy);
        }
    EXPECT_EQ(dma_bufs(), before);
}

TEST_F(BenchTest, RefusesFramesOfUdmabuf) {
    const clearframe::test::Finished done = clearframe::test::run(
        {.arguments = {"bench", "--heap", "udmabuf", "--gpu", "none", "--scene", "none"}});
    EXPECT_EQ(done.status, 3) << done.describe();
    EXPECT_THAT(done.err, ::testing::HasSubstr("it is not for frames"));
}

TEST_F(BenchTest, SaysThatOrdinaryMemoryIsReachedByEmulatedPartsAlone) {
    const clearframe::test::Finished done = clearframe::test::run(
        {.arguments = {"bench", "--heap", "memfd", "--gpu", "none", "--scene", "none", "--size",
                       "64x64", "--frames", "4", "--block", "2", "--warmup", "0", "--json", "-"}});
    ASSERT_EQ(done.status, 0) << done.describe();
    EXPECT_THAT(part(done.json(), "heap")["emulation"].get<std::string>(),
                ::testing::HasSubstr("emulated parts alone reach it"));
}

TEST_F(BenchTest, RefusesAnEmulatedHeapWhereARealOneIsRequired) {
    const clearframe::test::Finished done =
        clearframe::test::run({.arguments = {"bench", "--heap", "system", "--require", "heap",
                                             "--gpu", "none", "--scene", "none"}});
    EXPECT_EQ(done.status, 3) << done.describe();
    EXPECT_THAT(done.err, ::testing::HasSubstr("system"));
}

} // namespace
} // namespace clearframe::guest
