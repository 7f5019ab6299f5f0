// What the program says and shows of the guest: the doctor, and the demo's window.
#include "coco_guest/support.h"
#include "support/files.h"
#include "support/process.h"

#include <gmock/gmock.h>

#include <fstream>

namespace clearframe::guest {
namespace {

using clearframe::test::Finished;
using clearframe::test::run;
using nlohmann::json;
using ::testing::HasSubstr;

class DoctorTest : public GuestTest {
protected:
    // Everything is emulated here, instruction by instruction: drivers get more than two seconds.
    static json examine() {
        const Finished done = run({.arguments = {"doctor", "--timeout", "200", "--json", "-"},
                                   .time_limit = std::chrono::milliseconds(300'000)});
        EXPECT_EQ(done.status, 4) << done.describe(); // the GPU is software
        return done.json();
    }

    static json finding(const json& record, const std::string& section,
                        const std::string& subject) {
        for (const json& each : record["sections"])
            if (each["name"] == section)
                for (const json& found : each["findings"])
                    if (found["subject"] == subject)
                        return found;
        ADD_FAILURE() << "nothing on " << section << ", " << subject;
        return {{"health", ""}, {"sentence", ""}};
    }
    static json entry(const json& record, const std::string& heap, const std::string& importer) {
        for (const json& each : record["matrix"])
            if (each["heap"] == heap &&
                each["importer"].get<std::string>().find(importer) != std::string::npos)
                return each;
        ADD_FAILURE() << "no entry for " << heap << ", " << importer;
        return {{"imported", nullptr}, {"error", ""}};
    }
};

TEST_F(DoctorTest, FindsWhatIsRealInTheGuest) {
    const BufferCount before = dma_bufs();
    const json record = examine();
    EXPECT_EQ(finding(record, "heaps", "system_cc_shared")["health"], "good");
    EXPECT_EQ(finding(record, "heaps", "system")["health"], "good");
    EXPECT_EQ(finding(record, "kernel", "version")["health"], "good");
    EXPECT_EQ(record["real_path"]["heap"], "system_cc_shared");
    EXPECT_EQ(record["real_path"]["whole"], false);

    const json udmabuf = finding(record, "heaps", "udmabuf");
    EXPECT_EQ(udmabuf["health"], "good");
    EXPECT_THAT(udmabuf["sentence"].get<std::string>(),
                HasSubstr("it is not for frames: in a confidential guest"));

    EXPECT_EQ(entry(record, shared_heap, "mmap")["imported"], true);
    // What the refusal of udmabuf rests on, as the kernel does it.
    for (const char* heap : {shared_heap, "system", "memfd"})
        EXPECT_EQ(entry(record, heap, "DMA_BUF_IOCTL_SYNC")["imported"], true) << heap;
    EXPECT_THAT(entry(record, "udmabuf", "DMA_BUF_IOCTL_SYNC")["error"].get<std::string>(),
                HasSubstr("the kernel bounces it"));
    const json pinned = entry(record, shared_heap, "vmsplice");
    EXPECT_EQ(pinned["imported"], false);
    EXPECT_THAT(pinned["error"].get<std::string>(), HasSubstr("EFAULT"));
    for (const char* importer : {"as buffer", "as image", "(vkms)", "(bochs-drm)"})
        EXPECT_EQ(entry(record, shared_heap, importer)["imported"], true) << importer;
    EXPECT_EQ(dma_bufs(), before) << "it changes nothing and leaves nothing";
}

// In a small window: here even drawing the panel takes seconds.
TEST_F(DoctorTest, TheDemoShowsFramesInTheRealHeap) {
    const BufferCount before = dma_bufs();
    const clearframe::test::TemporaryDirectory files;
    const Finished done = run({.arguments = {"demo",          "--offscreen",
                                             "--heap",        "system_cc_shared",
                                             "--size",        "320x200",
                                             "--ring",        "4",
                                             "--verify",      "full",
                                             "--timeout",     "100",
                                             "--size-window", "1280x720",
                                             "--scale",       "0.5",
                                             "--paths",       "zero-copy",
                                             "--after",       "15",
                                             "--record",      files / "state.json",
                                             "--screenshot",  files / "window.png"},
                               .time_limit = std::chrono::milliseconds(280'000)});
    ASSERT_EQ(done.status, 0) << done.describe();
    const json state = json::parse(std::ifstream(files / "state.json"));
    for (const json& part : state["parts"])
        EXPECT_EQ(part["emulated"], part["kind"] != "heap") << part;
    EXPECT_GT(state["host_readable_bytes"], 0);
    for (const json& path : state["paths"]) {
        SCOPED_TRACE(path["name"]);
        EXPECT_GT(path["verified"], 0);
        EXPECT_FALSE(path["shown"].is_null());
        EXPECT_EQ(path["lost"], 0);
        EXPECT_EQ(path["corrupt"], 0);
        EXPECT_EQ(path["cpu_copied_bytes"], 0);
        EXPECT_EQ(path["same_buffer"], true);
    }
    EXPECT_EQ(dma_bufs(), before);
}

} // namespace
} // namespace clearframe::guest
