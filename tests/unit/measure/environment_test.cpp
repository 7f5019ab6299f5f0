#include "measure/record.h"
#include "support/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sched.h>
#include <sys/utsname.h>

namespace clearframe {
namespace {

using ::testing::MatchesRegex;
using ::testing::StartsWith;

TEST(Environment, DescribesThisMachine) {
    const Environment environment = read_environment();
    utsname system{};
    ASSERT_EQ(uname(&system), 0);
    EXPECT_EQ(environment.kernel, system.release);
    EXPECT_THAT(environment.program,
                MatchesRegex("clearframe [0-9.]+( \\(git [0-9a-f]+(-dirty)?\\))?"));
    EXPECT_THAT(environment.time,
                MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"));
    EXPECT_FALSE(environment.distribution.empty());
    EXPECT_FALSE(environment.cpu.empty());
    EXPECT_FALSE(environment.build.empty());
    EXPECT_GT(environment.memory_bytes, 1U << 20);
    EXPECT_EQ(environment.guest, "");
}

TEST(Environment, CountsTheCoresThisProcessMayUse) {
    cpu_set_t before;
    ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
    EXPECT_EQ(read_environment().cores, static_cast<std::uint32_t>(CPU_COUNT(&before)));

    int first = 0;
    while (!CPU_ISSET(first, &before))
        ++first;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    const std::uint32_t cores = read_environment().cores;
    ASSERT_EQ(sched_setaffinity(0, sizeof(before), &before), 0);
    EXPECT_EQ(cores, 1U);
}

TEST(Environment, ReadsOsReleaseAndCpuinfo) {
    const test::TemporaryDirectory root;
    test::write_file(root / "etc/os-release",
                     "PRETTY_NAMES=no\nNAME=no\nPRETTY_NAME=\"Some \\\"Linux\\\" 12\"\n");
    test::write_file(root / "proc/cpuinfo",
                     "processor\t: 0\nmodel\t\t: 85\nmodel name\t: Some CPU @ 2.5 GHz\n"
                     "processor\t: 1\nmodel name\t: Another\n");
    const Environment environment = read_environment(root.path());
    EXPECT_EQ(environment.distribution, "Some \"Linux\" 12");
    EXPECT_EQ(environment.cpu, "Some CPU @ 2.5 GHz");
}

TEST(Environment, ReadsTheOtherPlaceOfOsRelease) {
    const test::TemporaryDirectory root;
    test::write_file(root / "usr/lib/os-release", "PRETTY_NAME=Plain\n");
    EXPECT_EQ(read_environment(root.path()).distribution, "Plain");
}

TEST(Environment, SaysWhatIsUnknown) {
    const test::TemporaryDirectory root;
    test::write_file(root / "etc/os-release", "PRETTY_NAME\nPRETTY_NAME=\n");
    test::write_file(root / "proc/cpuinfo", "processor : 0\nCPU part : 0xd40\n");
    const Environment environment = read_environment(root.path());
    EXPECT_EQ(environment.distribution, "unknown");
    EXPECT_THAT(environment.cpu, StartsWith("unknown, "));
}

} // namespace
} // namespace clearframe
