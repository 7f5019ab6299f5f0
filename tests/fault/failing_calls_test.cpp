#include "support/files.h"
#include "support/process.h"
#include "support/program.h"

#include <gtest/gtest.h>

#include <signal.h>

#include <fstream>
#include <iterator>

namespace clearframe::test {
namespace {

Finished probe(const std::string& fail, const std::filesystem::path& count = {}) {
    return run({.environment = {{"CLEARFRAME_FAIL", fail}, {"CLEARFRAME_COUNT", count}},
                .preload = {failing_calls_library()},
                .program = CLEARFRAME_CALLS_PROBE});
}

constexpr const char* all_good = "open good\nelsewhere good\nmemfd_create good\nftruncate good\n"
                                 "mmap good\nmmap good\nmmap good\nfcntl good\nwrite good\n"
                                 "flip ENOTTY\nthread good\n"; // a memfd flips no pages

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    return text.replace(text.find(from), from.size(), to);
}

TEST(FailingCalls, NothingFailsUnasked) {
    const Finished finished = probe("");
    EXPECT_EQ(finished.status, 0) << finished.describe();
    EXPECT_EQ(finished.out, all_good);
    EXPECT_EQ(finished.err, "");
}

TEST(FailingCalls, TheNthCallFailsOnce) {
    EXPECT_EQ(probe("mmap:2:ENOMEM").out,
              replaced(all_good, "mmap good\nmmap good", "mmap good\nmmap ENOMEM"));
}

TEST(FailingCalls, OrEveryOneFromTheNthOn) {
    EXPECT_EQ(probe("mmap:2+:EAGAIN").out, replaced(all_good, "mmap good\nmmap good\nmmap good",
                                                    "mmap good\nmmap EAGAIN\nmmap EAGAIN"));
}

TEST(FailingCalls, SeveralCallsCanFail) {
    EXPECT_EQ(
        probe("write:1:ENOSPC,open:1:EACCES").out,
        replaced(replaced(all_good, "write good", "write ENOSPC"), "open good", "open EACCES"));
}

TEST(FailingCalls, CallsOfOtherLibrariesDoNotCount) {
    const std::string out = probe("memfd_create:1:EMFILE").out;
    EXPECT_TRUE(out.starts_with("open good\nelsewhere good\nmemfd_create EMFILE\n")) << out;
}

TEST(FailingCalls, RequestsToADrmDeviceDo) {
    EXPECT_EQ(probe("DRM_IOCTL_MODE_PAGE_FLIP:1:EBUSY").out,
              replaced(all_good, "flip ENOTTY", "flip EBUSY"));
}

TEST(FailingCalls, ACallThatIsIgnoredSucceedsAndIsNotMade) {
    EXPECT_EQ(probe("DRM_IOCTL_MODE_PAGE_FLIP:1:IGNORED").out,
              replaced(all_good, "flip ENOTTY", "flip good"));
}

TEST(FailingCalls, ACallCanSendASignal) {
    EXPECT_EQ(probe("write:1:SIGTERM").signal, SIGTERM);
    EXPECT_EQ(probe("write:2:SIGTERM").out, all_good);
}

TEST(FailingCalls, CallsThroughTheCxxLibraryDo) {
    EXPECT_EQ(probe("pthread_create:1:EAGAIN").out,
              replaced(all_good, "thread good", "thread EAGAIN"));
}

TEST(FailingCalls, CountsCallsAndFailures) {
    const TemporaryDirectory directory;
    probe("mmap:3:ENOMEM", directory / "count");
    std::ifstream file(directory / "count");
    EXPECT_EQ(std::string(std::istreambuf_iterator(file), {}),
              "open 1 0\nmmap 3 1\nmemfd_create 1 0\nftruncate 1 0\nfcntl 1 0\nwrite 1 0\n"
              "pthread_create 1 0\nDRM_IOCTL_MODE_PAGE_FLIP 1 0\n");
}

TEST(FailingCalls, APlanThatMakesNoSenseEndsTheProgram) {
    for (const char* plan : {"mmap", "mmap:0:EIO", "mmap:x:EIO", "mmap:1:EOOPS", "nomap:1:EIO"}) {
        const Finished finished = probe(plan);
        EXPECT_EQ(finished.status, 99) << plan;
        EXPECT_EQ(finished.err,
                  "CLEARFRAME_FAIL: cannot make sense of '" + std::string(plan) + "'\n");
    }
}

} // namespace
} // namespace clearframe::test
