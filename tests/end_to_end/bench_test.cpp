// The program as its users run it: what it measures, says, stores and returns.
#include "end_to_end/expectations.h"
#include "support/files.h"
#include "support/process.h"
#include "support/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <signal.h>

#include <fstream>
#include <sstream>

namespace clearframe::test {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

using nlohmann::json;

// A run that is small enough to check every pixel of.
std::vector<std::string> small(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"bench",   "--size", "320x200",  "--frames", "24",
                                       "--block", "8",      "--warmup", "4",        "--verify",
                                       "full",    "--ring", "4",        "--json",   "-"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
}

Finished bench(std::vector<std::string> arguments) {
    return run({.arguments = std::move(arguments)});
}

TEST(Bench, VerifiesEveryPixelOfEveryFrameOnBothPaths) {
    NEEDS_A_GPU();
    const Finished done = bench(small({"--scene", "none,waves,test-card,noise"}));
    ASSERT_EQ(done.status, 0) << done.describe();
    const json record = done.json();
    EXPECT_EQ(record["schema"], "clearframe.run/1");
    ASSERT_EQ(record["results"].size(), 4u);
    for (const json& scene : record["results"]) {
        ASSERT_EQ(scene["paths"].size(), 2u);
        for (const json& path : scene["paths"]) {
            EXPECT_EQ(path["frames"], 24) << path;
            EXPECT_EQ(path["lost"], 0);
            EXPECT_EQ(path["corrupt"], 0);
            EXPECT_EQ(path["verified_pixels"], 24 * 320 * 200);
            EXPECT_EQ(path["blocks"].size(), 3u);
        }
        const json& zero_copy = scene["paths"][0];
        EXPECT_EQ(zero_copy["path"], "zero-copy");
        EXPECT_EQ(zero_copy["cpu_copied_bytes"], 0);
        EXPECT_EQ(zero_copy["same_buffer"], true);
        EXPECT_FALSE(zero_copy["stages_us"].contains("copy"));
        const json& staging = scene["paths"][1];
        EXPECT_GE(staging["cpu_copied_bytes"].get<std::uint64_t>(), 24u * 2 * 320 * 200 * 4);
        EXPECT_EQ(staging["same_buffer"], false);
        EXPECT_EQ(scene["comparison"]["baseline"], "staging");
        EXPECT_EQ(scene["comparison"]["zero-copy"]["pairs"], 3);
    }
}

TEST(Bench, NamesWhatIsEmulatedWhereverItShowsAFigure) {
    const Finished done =
        bench({"bench", "--size", "64x64", "--frames", "8", "--block", "4", "--scene", "none"});
    ASSERT_EQ(done.status, 0) << done.describe();
    EXPECT_THAT(done.out, HasSubstr("emulated here:"));
    EXPECT_THAT(done.out, HasSubstr("nic"));
    EXPECT_THAT(done.out, HasSubstr("zero-copy moved "));
    EXPECT_THAT(done.out, HasSubstr("with 0 bytes copied by the CPU"));
    const json record = bench(small({"--scene", "none"})).json();
    EXPECT_THAT(record["emulated"].get<std::vector<std::string>>(), ::testing::Contains("nic"));
}

TEST(Bench, KeepsStandardOutputForTheJsonAlone) {
    const Finished done = bench(small({"--scene", "none"}));
    ASSERT_EQ(done.status, 0) << done.describe();
    EXPECT_THAT(done.out, StartsWith("{"));
    EXPECT_TRUE(json::accept(done.out));
    EXPECT_THAT(done.err, HasSubstr("zero-copy moved "));
}

TEST(Bench, QuietSaysNothingWhenAllIsWell) {
    const Finished done = bench({"bench", "--size", "64x64", "--frames", "8", "--block", "4",
                                 "--scene", "none", "--quiet"});
    EXPECT_EQ(done.status, 0);
    EXPECT_THAT(done.out, IsEmpty());
    EXPECT_THAT(done.err, IsEmpty());
}

TEST(Bench, WritesCsvWithALineABlock) {
    const TemporaryDirectory directory;
    const auto csv = directory.path() / "blocks.csv";
    const Finished done = bench({"bench", "--size", "64x64", "--frames", "8", "--block", "4",
                                 "--scene", "none", "--quiet", "--csv", csv});
    ASSERT_EQ(done.status, 0) << done.describe();
    const std::string text = read_file(csv);
    EXPECT_THAT(text, StartsWith("scene,path,block,frames,seconds,gbytes_per_s,emulated\n"));
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1 + 2 * 2);
}

TEST(Bench, CapturesAFrameAsItWasReceived) {
    NEEDS_A_GPU();
    const TemporaryDirectory directory;
    const auto png = directory.path() / "frame.png";
    const Finished done = bench(small({"--scene", "test-card", "--quiet", "--capture", png}));
    ASSERT_EQ(done.status, 0) << done.describe();
    EXPECT_THAT(read_file(png), StartsWith("\x89PNG"));
}

TEST(Bench, ColoursOnlyATerminalThatWantsThem) {
    const Command command{.arguments = {"bench", "--size", "64x64", "--frames", "8", "--block", "4",
                                        "--scene", "none"},
                          .environment = {{"TERM", "xterm-256color"}},
                          .terminal = Terminal::both};
    const auto escapes = [](const std::string& text) { return text.find("\033[3") != text.npos; };
    EXPECT_TRUE(escapes(run(command).terminal));
    Command plain = command;
    plain.environment["NO_COLOR"] = "1";
    EXPECT_FALSE(escapes(run(plain).terminal));
    plain = command;
    plain.terminal = Terminal::none;
    const Finished piped = run(plain);
    EXPECT_FALSE(escapes(piped.out + piped.err));
    EXPECT_THAT(piped.out + piped.err, Not(HasSubstr("\r"))) << "progress in a pipe";
}

TEST(Bench, EndsEarlyOnCtrlCAndStillReports) {
    const TemporaryDirectory directory;
    for (const int signal : {SIGINT, SIGTERM}) {
        const auto file = directory.path() / "early.json";
        // The progress line names a rate once something has been measured.
        const Finished done = run({.arguments = {"bench", "--size", "64x64", "--scene", "none",
                                                 "--seconds", "3600", "--json", file},
                                   .terminal = Terminal::err,
                                   .signals = {{"GB/s", signal}}});
        EXPECT_EQ(done.status, 0) << done.describe();
        EXPECT_EQ(done.signals_sent, 1u) << done.describe();
        EXPECT_THAT(done.out, HasSubstr("zero-copy moved "));
        const json record = json::parse(read_file(file));
        EXPECT_EQ(record["ended_early"], true);
        EXPECT_GT(record["results"][0]["paths"][0]["frames"].get<int>(), 0);
    }
}

// Less than the warm-up takes.
TEST(Bench, MeasuresOneRoundHoweverLittleTimeThereIs) {
    const Finished done = bench({"bench", "--size", "64x64", "--scene", "none", "--seconds",
                                 "0.000001", "--quiet", "--json", "-"});
    ASSERT_EQ(done.status, 0) << done.describe();
    const json record = done.json();
    for (const json& path : record["results"][0]["paths"]) {
        ASSERT_EQ(path["blocks"].size(), 1u);
        EXPECT_GT(path["blocks"][0]["frames"], 0);
        EXPECT_GT(path["gbytes_per_s"]["mean"], 0);
    }
}

TEST(Bench, ValidationLayersHaveNothingToSay) {
    NEEDS_A_GPU();
    const Finished done = run(
        {.arguments = small({"--scene", "none,waves,test-card,noise"}),
         // Under AddressSanitizer the layer's leaks come from a library that is unloaded by then.
         .environment = {{"CLEARFRAME_VALIDATION", "1"}, {"ASAN_OPTIONS", "detect_leaks=0"}}});
    EXPECT_EQ(done.status, 0) << done.describe();
    EXPECT_THAT(done.err, Not(HasSubstr("VUID")));
    EXPECT_THAT(done.err, Not(HasSubstr("SYNC-HAZARD")));
}

TEST(Bench, RunsWithoutAGpuAloud) {
    const Finished done =
        run({.arguments = {"bench", "--size", "64x64", "--frames", "8", "--block", "4"},
             .environment = {{"VK_DRIVER_FILES", "/nonexistent.json"},
                             {"VK_ICD_FILENAMES", "/nonexistent.json"}}});
    EXPECT_EQ(done.status, 0) << done.describe();
    EXPECT_THAT(done.out, HasSubstr("no GPU: the transport alone was measured"));
}

TEST(Bench, AnsweringHelpAndVersionIsNoError) {
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{"--help"}, {"bench", "--help"}, {"--version"}}) {
        const Finished done = bench(arguments);
        EXPECT_EQ(done.status, 0);
        EXPECT_THAT(done.out, HasSubstr("clearframe"));
        EXPECT_THAT(done.err, IsEmpty());
    }
}

class Refuses : public ::testing::TestWithParam<Refused> {};

TEST_P(Refuses, InOneLineWithTheRightStatus) {
    std::vector<std::string> arguments{"bench"};
    arguments.insert(arguments.end(), GetParam().arguments.begin(), GetParam().arguments.end());
    expect_refused(bench(arguments), GetParam().status, GetParam().says);
}

INSTANTIATE_TEST_SUITE_P(
    BadUsage, Refuses,
    ::testing::Values(
        Refused{"UnknownOption", {"--fast"}, 2, "--fast"},
        Refused{"UnknownScene", {"--scene", "wave"}, 2, "none, waves, test-card or noise"},
        Refused{"UnknownPath", {"--paths", "magic"}, 2, "zero-copy, staging"},
        Refused{"SamePathTwice", {"--paths", "staging,staging"}, 2, "each path once"},
        Refused{"UnknownHeap", {"--heap", "pile"}, 2, "there is no heap 'pile'. Known here: auto"},
        Refused{"UnknownGpu", {"--gpu", "voodoo"}, 2, "there is no GPU 'voodoo'"},
        Refused{"UnknownNic", {"--nic", "token-ring"}, 2, "there is no NIC 'token-ring'"},
        Refused{"UnknownNicOption", {"--nic", "emulated:speed=3"}, 2, "speed"},
        Refused{"BadNicRate", {"--nic", "emulated:rate=fast"}, 2, "rate"},
        Refused{"UnknownVerify", {"--verify", "some"}, 2, "off, sampled or full"},
        Refused{"UnknownBounce", {"--bounce", "cpu"}, 2, "nic or both"},
        Refused{"UnknownRequirement", {"--require", "cpu"}, 2, "heap, gpu or nic"},
        Refused{"SizeZero", {"--size", "0x0"}, 2, "WIDTHxHEIGHT"},
        Refused{"HeightZero", {"--size", "1920x0"}, 2, "WIDTHxHEIGHT"},
        Refused{"SizeTooLarge", {"--size", "16385x1"}, 2, "16384"},
        Refused{"SizeNegative", {"--size", "-1x5"}, 2, "WIDTHxHEIGHT"},
        Refused{"SizeOneNumber", {"--size", "1920"}, 2, "WIDTHxHEIGHT"},
        Refused{"SizeThreeNumbers", {"--size", "1x2x3"}, 2, "WIDTHxHEIGHT"},
        Refused{"SizeOverflow", {"--size", "99999999999x1"}, 2, "WIDTHxHEIGHT"},
        Refused{"SizeWords", {"--size", "big"}, 2, "WIDTHxHEIGHT"},
        Refused{"RingZero", {"--ring", "0"}, 2, "1 to 256"},
        Refused{"RingTooLarge", {"--ring", "257"}, 2, "1 to 256"},
        Refused{"RingNegative", {"--ring", "-3"}, 2, "--ring"},
        Refused{"PresentSomewhere", {"--present", "nonsense"}, 2, "kms or kms:CARD"},
        Refused{"PresentOnNoCard", {"--present", "kms:"}, 2, "kms or kms:CARD"},
        Refused{"PresentOutOfTwoSlots", {"--present", "kms", "--ring", "2"}, 2, "at least 3"},
        Refused{"NoTime", {"--seconds", "0"}, 2, "--seconds"},
        Refused{"TimeNotANumber", {"--seconds", "nan"}, 2, "--seconds"},
        Refused{"TimeAndFrames", {"--seconds", "1", "--frames", "5"}, 2, "--frames"},
        Refused{"ResultWithoutAName", {"--json", ""}, 2, "the name is empty"},
        Refused{
            "TwoOnStandardOutput", {"--json", "-", "--csv", "-"}, 2, "another file than --json"},
        Refused{"OneFileForTwo", {"--json", "x", "--csv", "x"}, 2, "another file than --json"},
        Refused{"TwoOnStandardOutputAgain",
                {"--csv", "-", "--capture", "-"},
                2,
                "another file than --csv"},
        Refused{"OneFrame", {"--frames", "1"}, 2, "at least 2"},
        Refused{"BlockOfOne", {"--block", "1"}, 2, "at least 2"},
        Refused{"PoolNegative", {"--pool", "-1"}, 2, "--pool"}),
    [](const auto& refused) { return refused.param.name; });

INSTANTIATE_TEST_SUITE_P(
    CannotBeHad, Refuses,
    ::testing::Values(
        Refused{"HeapNotHere",
                {"--heap", "system_cc_decrypted"},
                3,
                "heap system_cc_decrypted cannot be used: "},
        Refused{"RealNic", {"--require", "nic", "--size", "16x16"}, 3, "a real nic is required"},
        Refused{
            "SceneWithoutGpu", {"--gpu", "none", "--scene", "waves"}, 3, "scene waves needs a GPU"},
        Refused{"FramesOverMemory",
                {"--size", "16384x16384", "--ring", "256", "--gpu", "none", "--quiet"},
                3,
                "Take a smaller --ring or --size"},
        Refused{"ResultWithoutADirectory", {"--json", "/nonexistent/x.json"}, 3, "ENOENT"},
        Refused{"ResultInAKernelDirectory", {"--json", "/proc/x.json"}, 3, "/proc/x.json"}),
    [](const auto& refused) { return refused.param.name; });

TEST(Bench, SaysWhichFrameWentWrongAndFails) {
    const struct {
        const char* nic;
        const char* says;
    } cases[] = {
        {"emulated:drop=@9", "frame 9 never arrived"},
        {"emulated:corrupt=@9", "frame 9 (slot 1)"},
        {"emulated:torn=@9", "head and tail are of different frames"},
        {"emulated:late=@9", "the slot holds another frame"},
        {"emulated:wrong-length=@9", "its last write was"},
        {"emulated:wrong-immediate=@9", "frame 9 never arrived"},
    };
    for (const auto& [nic, says] : cases) {
        const Finished done = bench(small({"--scene", "none", "--nic", nic}));
        EXPECT_EQ(done.status, 1) << done.describe();
        EXPECT_THAT(done.err, HasSubstr(says)) << nic;
        const json record = done.json();
        int bad = 0;
        for (const json& path : record["results"][0]["paths"])
            bad += path["lost"].get<int>() + path["corrupt"].get<int>();
        EXPECT_EQ(bad, 1) << nic;
    }
}

TEST(Bench, EndsWithoutAResultWhenTheConnectionBreaks) {
    const struct {
        const char* nic;
        const char* says;
    } cases[] = {
        {"emulated:error=@9", "sending frame 9 to slot 1 failed: IBV_WC_REM_ACCESS_ERR (10)"},
        {"emulated:stall=@9", "nothing completed for 200.00 ms"},
    };
    for (const auto& [nic, says] : cases) {
        const TemporaryDirectory directory;
        const auto file = directory.path() / "result.json";
        std::ofstream(file) << "earlier";
        const Finished done = bench({"bench", "--size", "64x64", "--frames", "24", "--scene",
                                     "none", "--nic", nic, "--timeout", "0.2", "--json", file});
        EXPECT_EQ(done.status, 1) << done.describe();
        EXPECT_THAT(done.err, HasSubstr(says));
        EXPECT_EQ(read_file(file), "earlier") << "an old result must stay as it was";
        std::size_t files = 0;
        for ([[maybe_unused]] const auto& entry :
             std::filesystem::directory_iterator(directory.path()))
            ++files;
        EXPECT_EQ(files, 1u) << "a temporary file was left behind";
    }
}

TEST(Bench, SaysThatTheDiskIsFull) {
    const Finished done = bench({"bench", "--size", "64x64", "--frames", "8", "--scene", "none",
                                 "--quiet", "--json", "/dev/full"});
    EXPECT_EQ(done.status, 1) << done.describe();
    EXPECT_THAT(done.err, HasSubstr("ENOSPC (28: No space left on device)"));
}

Finished redirected(const std::string& where, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"bench",   "--size", "64x64",    "--frames", "8",
                                       "--scene", "none",   "--verify", "full"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_redirected(arguments, where);
}

TEST(Bench, SaysThatItsReportCannotBeWritten) {
    const Finished full = redirected("> /dev/full");
    EXPECT_EQ(full.status, 1) << full.describe();
    EXPECT_THAT(full.err, HasSubstr("the report cannot be written: ENOSPC (28: "));
    // What is opened next must not take the place of what is closed: it would be printed into.
    const Finished closed = redirected(">&-");
    EXPECT_EQ(closed.status, 1) << closed.describe();
    EXPECT_THAT(closed.err, HasSubstr("the report cannot be written: EBADF (9: "));
    const Finished results = redirected(">&-", {"--json", "-"});
    EXPECT_EQ(results.status, 3) << results.describe();
    EXPECT_THAT(results.err,
                HasSubstr("standard output: cannot be opened for writing: EBADF (9: "));
}

TEST(Bench, ShowsFramesOnNoScreenThatIsNotThere) {
    const Finished named = bench({"bench", "--present", "kms:no-such-driver"});
    EXPECT_EQ(named.status, 3) << named.describe();
    EXPECT_THAT(named.out, IsEmpty());
    EXPECT_THAT(named.err, AllOf(StartsWith("clearframe: "), HasSubstr("ENOENT (2: ")));
    if (!std::filesystem::exists("/dev/dri")) {
        const Finished any = bench({"bench", "--present", "kms"});
        EXPECT_EQ(any.status, 3) << any.describe();
        EXPECT_THAT(any.err,
                    AllOf(StartsWith("clearframe: no screen: there is no card in /dev/dri"),
                          HasSubstr("modprobe vkms")));
    }
}

TEST(Bench, NeedsNoStreamAtAll) {
    const TemporaryDirectory directory;
    const auto file = directory.path() / "result.json";
    const Finished done = redirected("<&- >&- 2>&-", {"--quiet", "--json", file});
    EXPECT_EQ(done.status, 0) << done.describe();
    EXPECT_TRUE(json::accept(read_file(file)));
}

TEST(Bench, TakesAReaderThatHasSeenEnoughForNoFault) {
    const Finished done = redirected("| true; echo over", {"--csv", "-"});
    EXPECT_EQ(done.status, 0) << done.describe();
    EXPECT_THAT(done.out, EndsWith("over\n"));
    EXPECT_THAT(redirected("| { read line && echo \"$line\"; }").out, StartsWith("heap "));
}

TEST(Bench, AFrameThatGoesWrongInTheWarmUpIsNoLessWrong) {
    const Finished done = bench({"bench", "--size", "64x64", "--frames", "8", "--warmup", "8",
                                 "--scene", "none", "--nic", "emulated:drop=@3", "--json", "-"});
    EXPECT_EQ(done.status, 1) << done.describe();
    EXPECT_THAT(done.err, HasSubstr("frame 3 never arrived"));
    const json record = done.json();
    EXPECT_EQ(record["results"][0]["paths"][0]["lost"], 0);
    EXPECT_THAT(record["warnings"].dump(), HasSubstr("in the warm-up 1 frames were lost"));
}

TEST(Bench, SaysThatFilesMayGrowNoFurther) {
    const TemporaryDirectory directory;
    const Finished done = run({.arguments = {"bench", "--size", "64x64", "--frames", "8", "--scene",
                                             "none", "--quiet", "--json", "result.json"},
                               // ThreadSanitizer writes a file there before main().
                               .environment = {{"TMPDIR", "/nonexistent"}},
                               .directory = directory.path(),
                               .limits = {{RLIMIT_FSIZE, 0}}});
    EXPECT_EQ(done.status, 3) << done.describe();
    EXPECT_THAT(done.err, HasSubstr("EFBIG (27: File too large)"));
    EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(Bench, SaysThatOpenFilesHaveRunOut) {
    const Finished done = run({.arguments = {"bench", "--size", "64x64", "--frames", "8", "--scene",
                                             "none", "--gpu", "none", "--ring", "64"},
                               .limits = {{RLIMIT_NOFILE, 48}}});
    EXPECT_EQ(done.status, 1) << done.describe();
    EXPECT_THAT(done.err,
                AllOf(HasSubstr("EMFILE (24: Too many open files)"), HasSubstr("ulimit -n")));
}

} // namespace
} // namespace clearframe::test
