// The demo as its users run it, without a display: what it draws, stores, says and returns.
#include "end_to_end/expectations.h"
#include "support/files.h"
#include "support/process.h"
#include "support/snapshots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <signal.h>

#include <fstream>
#include <sstream>

namespace clearframe::test {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

using nlohmann::json;

// No display, whatever the machine has.
Finished demo(std::vector<std::string> arguments, std::vector<SignalAfter> signals = {}) {
    arguments.insert(arguments.begin(), "demo");
    return run({.arguments = std::move(arguments),
                .environment = {{"DISPLAY", std::nullopt}, {"WAYLAND_DISPLAY", std::nullopt}},
                .signals = std::move(signals)});
}

// Frames that are small enough for any machine.
std::vector<std::string> small_demo(std::vector<std::string> more) {
    std::vector<std::string> arguments{"--offscreen", "--size", "320x180", "--ring", "4"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
}

TEST(Demo, DrawsTheWindowWithoutADisplay) {
    NEEDS_A_GPU();
    const TemporaryDirectory directory;
    const auto picture = directory.path() / "window.png";
    const auto state = directory.path() / "state.json";
    const Finished done =
        demo(small_demo({"--screenshot", picture, "--record", state, "--after", "1"}));
    ASSERT_EQ(done.status, 0) << done.describe();
    EXPECT_THAT(done.err, IsEmpty());
    EXPECT_THAT(done.out, HasSubstr("demo drawn by "));
    EXPECT_THAT(done.out, HasSubstr("emulated: "));
    EXPECT_THAT(read_file(picture), StartsWith("\x89PNG"));
    const json recorded = json::parse(read_file(state));
    EXPECT_EQ(recorded["schema"], "clearframe.snapshot/1");
    EXPECT_EQ(recorded["settings"]["width"], 320);
    EXPECT_EQ(recorded["settings"]["ring"], 4);
    EXPECT_EQ(recorded["paths"].size(), 2u);
    for (const json& path : recorded["paths"]) {
        EXPECT_EQ(path["lost"], 0);
        EXPECT_EQ(path["corrupt"], 0);
    }
    EXPECT_EQ(entries_of(directory.path()), 2u);
}

TEST(Demo, BeginsAsTheOptionsSay) {
    NEEDS_A_GPU();
    const TemporaryDirectory directory;
    const auto state = directory.path() / "state.json";
    const Finished done =
        demo(small_demo({"--scene", "none", "--paths", "staging", "--verify", "full",
                         "--one-at-a-time", "--nic", "emulated:rate=4Gbps", "--seed", "9",
                         "--record", state, "--after", "0.5", "--bounce", "both"}));
    ASSERT_EQ(done.status, 0) << done.describe();
    const json recorded = json::parse(read_file(state));
    const json expected{
        {"paths", {"staging"}},  {"interleaved", false}, {"width", 320}, {"height", 180},
        {"scene", "none"},       {"verify", "full"},     {"ring", 4},    {"paused", false},
        {"nic_gbits_per_s", 4.0}};
    EXPECT_EQ(recorded["settings"], expected);
    EXPECT_EQ(recorded["seed"], 9);
}

TEST(Demo, AReplayIsTheSameEveryTime) {
    NEEDS_A_GPU();
    const TemporaryDirectory directory;
    const auto state = directory.path() / "state.json";
    std::ofstream(state) << state_json(CLEARFRAME_STATES, "running").dump();
    std::string first;
    for (int round = 0; round < 3; ++round) {
        const Finished done =
            demo({"--offscreen", "--replay", state, "--screenshot", "-", "--fps", "1000"});
        ASSERT_EQ(done.status, 0) << done.describe();
        EXPECT_THAT(done.err, StartsWith("demo drawn by "));
        ASSERT_THAT(done.out, StartsWith("\x89PNG"));
        if (round == 0)
            first = done.out;
        EXPECT_TRUE(done.out == first) << "round " << round;
    }
    // And another one with the help open.
    json changed = json::parse(read_file(state));
    changed["ui"] = {{"help", true}};
    std::ofstream(state) << changed.dump();
    const Finished done = demo({"--offscreen", "--replay", state, "--screenshot", "-"});
    ASSERT_EQ(done.status, 0) << done.describe();
    EXPECT_FALSE(done.out == first);
}

TEST(Demo, WhatItRecordsCanBeReplayed) {
    NEEDS_A_GPU();
    const TemporaryDirectory directory;
    const auto state = directory.path() / "state.json";
    ASSERT_EQ(demo(small_demo({"--record", state, "--after", "0.5"})).status, 0);
    const auto picture = directory.path() / "replayed.png";
    const Finished done =
        demo({"--offscreen", "--replay", state, "--screenshot", picture, "--scale", "1.5"});
    EXPECT_EQ(done.status, 0) << done.describe();
    EXPECT_THAT(read_file(picture), StartsWith("\x89PNG"));
}

TEST(Demo, ValidationLayersHaveNothingToSay) {
    NEEDS_A_GPU();
    const TemporaryDirectory directory;
    const auto picture = directory.path() / "window.png";
    std::vector<std::string> arguments = small_demo({"--screenshot", picture, "--after", "1"});
    arguments.insert(arguments.begin(), "demo");
    const Finished done = run(
        {.arguments = arguments,
         // Under AddressSanitizer the layer's leaks come from a library that is unloaded by then.
         .environment = {{"CLEARFRAME_VALIDATION", "1"}, {"ASAN_OPTIONS", "detect_leaks=0"}}});
    EXPECT_EQ(done.status, 0) << done.describe();
    EXPECT_THAT(done.err, Not(HasSubstr("VUID")));
    EXPECT_THAT(done.err, Not(HasSubstr("SYNC-HAZARD")));
}

TEST(Demo, ASignalEndsItAndLeavesNoFile) {
    NEEDS_A_GPU();
    for (const int signal : {SIGINT, SIGTERM}) {
        const TemporaryDirectory directory;
        const auto picture = directory.path() / "window.png";
        std::ofstream(picture) << "earlier";
        const Finished done = demo(small_demo({"--screenshot", picture, "--after", "3600"}),
                                   {{"demo drawn by", signal}});
        EXPECT_EQ(done.status, 1) << done.describe();
        EXPECT_EQ(done.signals_sent, 1u) << done.describe();
        EXPECT_THAT(done.err, HasSubstr("ended before its files were written"));
        EXPECT_EQ(read_file(picture), "earlier");
        EXPECT_EQ(entries_of(directory.path()), 1u) << "a temporary file was left behind";
    }
}

TEST(Demo, AFailureIsShownAndReturned) {
    NEEDS_A_GPU();
    const TemporaryDirectory directory;
    const auto state = directory.path() / "state.json";
    const Finished done = demo(small_demo(
        {"--scene", "none", "--nic", "emulated:error=@9", "--record", state, "--after", "3"}));
    EXPECT_EQ(done.status, 1) << done.describe();
    EXPECT_THAT(done.err,
                ContainsRegex("sending frame 9 to slot [0-3] failed: IBV_WC_REM_ACCESS_ERR .10."));
    const json recorded = json::parse(read_file(state));
    EXPECT_EQ(recorded["state"], "failed");
    EXPECT_THAT(recorded["trouble"].get<std::string>(), HasSubstr("IBV_WC_REM_ACCESS_ERR (10)"));
}

TEST(Demo, ABadFrameIsNamedAndReturned) {
    NEEDS_A_GPU();
    const TemporaryDirectory directory;
    const auto state = directory.path() / "state.json";
    const Finished done = demo(small_demo(
        {"--scene", "none", "--nic", "emulated:drop=@9", "--record", state, "--after", "3"}));
    EXPECT_EQ(done.status, 1) << done.describe();
    EXPECT_THAT(done.err, HasSubstr("frame 9 never arrived"));
}

TEST(Demo, RunsWithoutAGpuForTheFrames) {
    NEEDS_A_GPU();
    const TemporaryDirectory directory;
    const auto state = directory.path() / "state.json";
    const Finished done = demo(small_demo({"--gpu", "none", "--record", state, "--after", "0.5"}));
    EXPECT_EQ(done.status, 0) << done.describe();
    const json recorded = json::parse(read_file(state));
    EXPECT_EQ(recorded["settings"]["scene"], "none");
    EXPECT_EQ(recorded["choices"]["scenes"], json::array({"none"}));
}

TEST(Demo, WithoutADisplaySaysWhatToDo) {
    const Finished done = demo({});
    EXPECT_EQ(done.status, 3) << done.describe();
    EXPECT_THAT(done.err, AllOf(StartsWith("clearframe: "), HasSubstr("--offscreen")));
    EXPECT_EQ(std::count(done.err.begin(), done.err.end(), '\n'), 1) << done.err;
}

TEST(Demo, IsWhatRunsUnaskedWhereThereIsADisplay) {
    const Finished done = run({.arguments = {},
                               .environment = {{"DISPLAY", ":4095"}, // nobody's
                                               {"WAYLAND_DISPLAY", std::nullopt}}});
    EXPECT_EQ(done.status, 3) << done.describe();
    EXPECT_THAT(done.err, HasSubstr("no command given: demo, as there is a display"));
    EXPECT_THAT(done.err, HasSubstr(":4095"));
}

TEST(Demo, BenchIsWhatRunsUnaskedWhereThereIsNone) {
    const Finished done =
        run({.arguments = {},
             .environment = {{"DISPLAY", std::nullopt}, {"WAYLAND_DISPLAY", std::nullopt}},
             .terminal = Terminal::err,
             .signals = {{"GB/s", SIGINT}}});
    EXPECT_EQ(done.status, 0) << done.describe();
    EXPECT_THAT(done.terminal, HasSubstr("no command given: bench, as there is no display"));
}

TEST(Demo, AnswersHelp) {
    const Finished done = demo({"--help"});
    EXPECT_EQ(done.status, 0);
    EXPECT_THAT(done.out, AllOf(HasSubstr("--offscreen"), HasSubstr("F1")));
    EXPECT_THAT(done.err, IsEmpty());
}

class DemoRefuses : public ::testing::TestWithParam<Refused> {};

TEST_P(DemoRefuses, InOneLineWithTheRightStatus) {
    expect_refused(demo(GetParam().arguments), GetParam().status, GetParam().says);
}

INSTANTIATE_TEST_SUITE_P(
    Demo, DemoRefuses,
    ::testing::Values(
        Refused{"UnknownOption", {"--fast"}, 2, "--fast"},
        Refused{"NothingToDo", {"--offscreen"}, 2, "Add --screenshot or --record"},
        Refused{"UnknownScene", {"--scene", "wave"}, 2, "none, waves, test-card or noise"},
        Refused{"UnknownPath", {"--paths", "magic"}, 2, "zero-copy, staging"},
        Refused{"RingOfOne", {"--ring", "1"}, 2, "2 to 256 slots"},
        Refused{"WindowTooSmall", {"--size-window", "1279x720"}, 2, "from 1280x720"},
        Refused{"WindowTooLarge", {"--size-window", "16384x16385"}, 2, "16384"},
        Refused{"WindowTooLargeScaled",
                {"--size-window", "8192x4608", "--scale", "3"},
                2,
                "after --scale"},
        Refused{"WindowWords", {"--size-window", "big"}, 2, "WIDTHxHEIGHT"},
        Refused{"ScaleTooSmall", {"--scale", "0.1"}, 2, "--scale"},
        Refused{"ScaleNotANumber", {"--scale", "nan"}, 2, "--scale"},
        Refused{"NoFps", {"--fps", "0"}, 2, "--fps"},
        Refused{"NoTime", {"--offscreen", "--record", "-", "--after", "0"}, 2, "--after"},
        Refused{"TwoOnStandardOutput",
                {"--offscreen", "--record", "-", "--screenshot", "-"},
                2,
                "standard output"},
        Refused{"ReplayOfOtherFrames", {"--replay", "a.json", "--size", "64x64"}, 2, "--replay"},
        Refused{"BadNicRate", {"--nic", "emulated:rate=fast"}, 2, "rate"},
        Refused{"UnknownHeap", {"--heap", "pile"}, 2, "there is no heap 'pile'"},
        Refused{"SceneWithoutGpu",
                {"--gpu", "none", "--scene", "waves", "--offscreen", "--record", "-"},
                3,
                "scene waves needs a GPU"},
        Refused{"RealNic", {"--require", "nic"}, 3, "a real nic is required"},
        Refused{"ReplayOnAnUnknownGpu",
                {"--replay", std::string(CLEARFRAME_STATES) + "/running.json", "--gpu", "voodoo",
                 "--offscreen", "--screenshot", "-"},
                2,
                "there is no GPU 'voodoo'"},
        Refused{"ReplayOfNothing",
                {"--replay", "/nonexistent.json", "--offscreen", "--screenshot", "-"},
                3,
                "ENOENT"},
        Refused{"ReplayOfNoRecording",
                {"--replay", "/dev/null", "--offscreen", "--screenshot", "-"},
                2,
                "is not JSON"},
        Refused{"PictureWithoutADirectory",
                {"--offscreen", "--screenshot", "/nonexistent/x.png"},
                3,
                "ENOENT"},
        Refused{"SavesWithoutADirectory", {"--save", "/nonexistent/x"}, 3, "ENOENT"}),
    [](const auto& refused) { return refused.param.name; });

} // namespace
} // namespace clearframe::test
