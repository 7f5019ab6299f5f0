// `clearframe heaps` as its users run it.
#include "end_to_end/expectations.h"
#include "support/files.h"
#include "support/process.h"
#include "support/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <signal.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace clearframe::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

using nlohmann::json;

Finished heaps(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "heaps");
    return run({.arguments = std::move(arguments)});
}

TEST(HeapsCommand, ListsEveryHeapUsableOrWhyNot) {
    const Finished done = heaps({});
    EXPECT_EQ(done.status, 0) << done.describe();
    for (const char* name :
         {"system_cc_shared", "system_cc_decrypted", "system", "udmabuf", "memfd"})
        EXPECT_THAT("\n" + done.out, HasSubstr("\n  " + std::string(name) + " "));
    EXPECT_THAT(done.out, HasSubstr("whole pages of 4 KiB"));
    EXPECT_THAT(done.out, Not(HasSubstr("rounds")));
    std::istringstream lines(done.out);
    for (std::string line; std::getline(lines, line);)
        EXPECT_LE(line.size(), 80u) << line;
}

TEST(HeapsCommand, SaysThatItsReportCannotBeWritten) {
    const Finished done = run_redirected({"heaps"}, "> /dev/full");
    EXPECT_EQ(done.status, 1) << done.describe();
    EXPECT_THAT(done.err, HasSubstr("the report cannot be written: ENOSPC (28: "));
    EXPECT_EQ(run_redirected({"heaps", "--quiet"}, "> /dev/full").status, 0);
}

TEST(HeapsCommand, TimesEverySizeOnEveryUsableHeap) {
    const Finished done =
        heaps({"--time", "--seconds", "0.2", "--sizes", "4KiB,1M,65536", "--json", "-"});
    ASSERT_EQ(done.status, 0) << done.describe();
    const json record = done.json();
    EXPECT_EQ(record["schema"], "clearframe.heaps/1");
    EXPECT_EQ(record["timed"], true);
    EXPECT_EQ(record["ended_early"], false);
    std::size_t usable = 0;
    for (const json& heap : record["heaps"])
        usable += heap["usable"].get<bool>();
    ASSERT_EQ(record["timings"].size(), 3 * usable);
    EXPECT_EQ(record["timings"][0]["bytes"], 4096);
    EXPECT_EQ(record["timings"][usable]["bytes"], 1 << 20);
    EXPECT_EQ(record["timings"][2 * usable]["bytes"], 65536);
    for (const json& timing : record["timings"]) {
        EXPECT_GE(timing["rounds"].get<int>(), 3) << timing;
        EXPECT_GT(timing["allocate_us"].get<double>(), 0) << timing;
        EXPECT_GT(timing["first_touch_us"].get<double>(), 0) << timing;
        EXPECT_GT(timing["free_us"].get<double>(), 0) << timing;
        EXPECT_EQ(timing["error"], "");
    }
    EXPECT_THAT(done.err, AllOf(HasSubstr("first touch"), HasSubstr("page conversion")));
    if (record["environment"]["guest"] == "none") {
        EXPECT_THAT(done.err, HasSubstr("no page is converted"));
    }
}

TEST(HeapsCommand, SaysThatAFigureIsOfAnEmulatedHeap) {
    const Finished done = heaps({"--time", "--seconds", "0.1", "--sizes", "4K", "--heap", "memfd"});
    ASSERT_EQ(done.status, 0) << done.describe();
    EXPECT_THAT(done.out, HasSubstr("memfd, playing shared memory (emulated)"));
    EXPECT_THAT(done.out, HasSubstr("not measured: it is how much longer system_cc_shared takes"));
}

TEST(HeapsCommand, ASizeThatCannotBeHadIsALine) {
    const Finished done = heaps(
        {"--time", "--seconds", "0.1", "--sizes", "4K,64GiB", "--heap", "memfd", "--json", "-"});
    ASSERT_EQ(done.status, 0) << done.describe();
    const json record = done.json();
    EXPECT_GE(record["timings"][0]["rounds"].get<int>(), 3);
    EXPECT_EQ(record["timings"][1]["rounds"], 0);
    EXPECT_THAT(record["timings"][1]["error"].get<std::string>(),
                AllOf(HasSubstr("allocating 68.72 GB"), HasSubstr("ENOMEM")));
    const Finished nothing = heaps({"--time", "--sizes", "64GiB", "--heap", "memfd", "--quiet"});
    EXPECT_EQ(nothing.status, 1) << nothing.describe();
    EXPECT_THAT(nothing.err, AllOf(HasSubstr("nothing was measured"), HasSubstr("ENOMEM")));
}

TEST(HeapsCommand, EndsEarlyOnCtrlCAndStillReports) {
    for (const int signal : {SIGINT, SIGTERM}) {
        const TemporaryDirectory directory;
        const fs::path file = directory / "heaps.json";
        const Finished done = run({.arguments = {"heaps", "--time", "--seconds", "3000", "--sizes",
                                                 "32MiB,64MiB", "--json", file},
                                   .terminal = Terminal::err,
                                   .signals = {{"32 MiB", signal}}});
        EXPECT_EQ(done.status, 0) << done.describe();
        EXPECT_EQ(done.signals_sent, 1u) << done.describe();
        EXPECT_THAT(done.out, HasSubstr("ended early by a signal"));
        EXPECT_EQ(json::parse(read_file(file))["ended_early"], true);
    }
}

TEST(HeapsCommand, ColoursAndProgressOnlyOnATerminal) {
    const auto escapes = [](const std::string& text) { return text.find("\033[") != text.npos; };
    Command command{.arguments = {"heaps", "--time", "--seconds", "0.1", "--sizes", "4K"},
                    .environment = {{"TERM", "xterm-256color"}},
                    .terminal = Terminal::both};
    EXPECT_TRUE(escapes(run(command).terminal));
    command.terminal = Terminal::none;
    const Finished piped = run(command);
    EXPECT_FALSE(escapes(piped.out + piped.err));
    EXPECT_THAT(piped.out + piped.err, Not(HasSubstr("\r")));
}

TEST(HeapsCommand, LooksAtAPicture) {
    const TemporaryDirectory root;
    fs::create_directories(root / "sys/module/udmabuf/parameters");
    std::ofstream(root / "sys/module/udmabuf/parameters/size_limit_mb") << "64\n";
    fs::create_directories(root / "dev");
    std::ofstream(root / "dev/udmabuf") << "";
    const json record = heaps({"--root", root.path(), "--json", "-"}).json();
    EXPECT_THAT(record["heaps"][3]["refusal"].get<std::string>(), HasSubstr("ENOTTY"));
    EXPECT_EQ(record["heaps"][4]["usable"], true);
}

TEST(HeapsCommand, RefusesBadArguments) {
    const struct {
        std::vector<std::string> arguments;
        int status;
        std::string says;
    } uses[] = {
        {{"--nonsense"}, 2, "--nonsense"},
        {{"--sizes", "0"}, 2, "--sizes '0'"},
        {{"--sizes", "12X"}, 2, "--sizes '12X'"},
        {{"--sizes", "-4K"}, 2, "--sizes"},
        {{"--sizes", "65GiB"}, 2, "up to 64GiB"},
        {{"--sizes", "99999999999999999999"}, 2, "--sizes"},
        {{"--sizes", "18446744073709551615G"}, 2, "--sizes"},
        {{"--sizes", "4K,1"}, 2, "each size once"},
        {{"--seconds", "0"}, 2, "--seconds"},
        {{"--seconds", "inf"}, 2, "--seconds"},
        {{"--heap", "pile"}, 2, "there is no heap 'pile'"},
        {{"--heap", "system_cc_decrypted"}, 3, "heap system_cc_decrypted cannot be used"},
        {{"--root", "/nonexistent"}, 2, "--root"},
        {{"--json", "/nonexistent/x.json"}, 3, "ENOENT"},
        {{"--quiet", "--json", "/dev/full"}, 1, "ENOSPC"},
    };
    for (const auto& use : uses)
        expect_refused(heaps(use.arguments), use.status, use.says);
}

} // namespace
} // namespace clearframe::test
