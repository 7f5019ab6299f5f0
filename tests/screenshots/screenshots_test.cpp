// The window's pictures against those in golden/, which were made by the reference driver. With
// CLEARFRAME_BLESS=1 (tests/screenshots/bless) they are written instead.
#include "support/files.h"
#include "support/pictures.h"
#include "support/process.h"
#include "support/snapshots.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <regex>

namespace clearframe::test {
namespace {

namespace fs = std::filesystem;

const fs::path folder = CLEARFRAME_SCREENSHOTS; // tests/screenshots
const fs::path kept = CLEARFRAME_KEPT;          // what failed, in the build's folder

// What the goldens were made with; their folder is named for it.
constexpr const char* reference = "llvmpipe-mesa-25.0.7-llvm-15.0.6-imgui-1.86";

bool blessing() { return std::getenv("CLEARFRAME_BLESS") != nullptr; }

Finished demo(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"demo", "--offscreen"});
    return run({.arguments = std::move(arguments)});
}

// What this machine draws with, as `demo` says it.
std::string drawn_with() {
    static const std::string name = [] {
        const TemporaryDirectory files;
        std::ofstream(files / "state.json") << state_json(folder / "states", "running");
        const Finished done =
            demo({"--replay", files / "state.json", "--screenshot", files / "picture.png"});
        const std::string said = done.out + done.err;
        std::smatch found;
        const std::regex line("llvmpipe \\(LLVM ([0-9.]+).*Mesa ([0-9.]+).*Dear ImGui ([0-9.]+)");
        return std::regex_search(said, found, line)
                   ? fmt::format("llvmpipe-mesa-{}-llvm-{}-imgui-{}", found.str(2), found.str(1),
                                 found.str(3))
                   : "another driver: " + done.describe();
    }();
    return name;
}

#define NEEDS_THE_REFERENCE()                                                                      \
    if (drawn_with() != reference)                                                                 \
    GTEST_SKIP() << "the goldens are of " << reference << ", this machine draws with "             \
                 << drawn_with()

// Holds a picture against its golden; keeps actual, golden and difference where they differ.
void check(const fs::path& actual_file, const std::string& name) {
    const fs::path golden_file = folder / "golden" / reference / (name + ".png");
    const std::optional<Pixels> actual = read_png(actual_file);
    ASSERT_TRUE(actual) << name << " was not made";
    const std::optional<Pixels> golden = read_png(golden_file);
    if (blessing()) {
        // Not written anew for what the test would let pass.
        if (!golden || !compare(*actual, *golden).tolerable(golden->rgb.size()))
            fs::create_directories(golden_file.parent_path()),
                fs::copy_file(actual_file, golden_file, fs::copy_options::overwrite_existing);
        return;
    }
    ASSERT_TRUE(golden) << "there is no " << golden_file << ": look at " << actual_file
                        << " and run tests/screenshots/bless";
    const Difference difference = compare(*actual, *golden);
    if (difference.tolerable(golden->rgb.size()))
        return;
    write_png(kept / (name + ".actual.png"), *actual);
    write_png(kept / (name + ".golden.png"), *golden);
    if (difference.same_size)
        write_png(kept / (name + ".difference.png"), difference.picture);
    FAIL() << name << ": " << difference.text() << ". Kept: " << kept / (name + ".*.png")
           << ". If it is meant, look at it and run tests/screenshots/bless";
}

struct Shot {
    std::string state;
    std::string window = "1280x720"; // units
    std::string scale = "1";

    std::string name() const {
        return scale == "1" && window == "1280x720" ? state
                                                    : fmt::format("{}-{}-{}", state, window, scale);
    }
};

void PrintTo(const Shot& shot, std::ostream* out) { *out << shot.name(); }

std::vector<Shot> shots() {
    std::vector<Shot> all;
    for (const std::string& state : state_names(folder / "states"))
        all.push_back({state});
    for (const char* window : {"1440x900", "1920x1080"})
        all.push_back({"running", window, "1"});
    for (const char* window : {"1280x720", "1440x900"})
        all.push_back({"running", window, "1.5"});
    all.push_back({"real", "1920x1080", "1"});
    all.push_back({"real", "1280x720", "2"});
    all.push_back({"nic-error", "1440x900", "1.5"});
    all.push_back({"help", "1440x900", "1.5"});
    return all;
}

class Screenshot : public ::testing::TestWithParam<Shot> {};

TEST_P(Screenshot, IsAsItWas) {
    NEEDS_THE_REFERENCE();
    const TemporaryDirectory files;
    const fs::path state = files / "state.json", picture = files / "picture.png";
    std::ofstream(state) << state_json(folder / "states", GetParam().state);
    const Finished done = demo({"--replay", state, "--screenshot", picture, "--size-window",
                                GetParam().window, "--scale", GetParam().scale});
    ASSERT_EQ(done.status, 0) << done.describe();
    check(picture, GetParam().name());
}

INSTANTIATE_TEST_SUITE_P(States, Screenshot, ::testing::ValuesIn(shots()), [](const auto& test) {
    std::string name = test.param.name();
    std::replace_if(
        name.begin(), name.end(), [](char c) { return c == '-' || c == '.'; }, '_');
    return name;
});

// Each scene's frame, which is made of whole numbers: to the pixel, on every driver.
class SceneFrame : public ::testing::TestWithParam<std::string> {};

TEST_P(SceneFrame, IsAsItWasToThePixel) {
    const TemporaryDirectory files;
    const fs::path picture = files / "frame.png";
    const Finished done =
        run({.arguments = {"bench",    "--size",    "640x360",  "--scene",   GetParam(),
                           "--paths",  "zero-copy", "--frames", "4",         "--block",
                           "4",        "--warmup",  "0",        "--seed",    "7",
                           "--verify", "full",      "--quiet",  "--capture", picture}});
    ASSERT_EQ(done.status, 0) << done.describe();
    const fs::path golden_file = folder / "golden" / "scenes" / (GetParam() + ".png");
    if (blessing()) {
        fs::create_directories(golden_file.parent_path());
        fs::copy_file(picture, golden_file, fs::copy_options::overwrite_existing);
    }
    const std::optional<Pixels> actual = read_png(picture), golden = read_png(golden_file);
    ASSERT_TRUE(actual && golden);
    const Difference difference = compare(*actual, *golden);
    EXPECT_TRUE(difference.same_size && difference.pixels == 0) << difference.text();
}

INSTANTIATE_TEST_SUITE_P(Scenes, SceneFrame,
                         ::testing::Values("none", "waves", "test-card", "noise"),
                         [](const auto& test) {
                             return test.param == "test-card" ? "test_card" : test.param;
                         });

// The comparison itself.

Pixels golden_window() {
    return read_png(folder / "golden" / reference / "running.png").value_or(Pixels());
}

TEST(Compare, SeesOnePixelOfAGlyph) {
    const Pixels golden = golden_window();
    ASSERT_FALSE(golden.rgb.empty());
    // A pixel of the ratio, the largest text: the brightest one of the headline's card.
    std::size_t brightest = 0;
    for (std::size_t y = 70; y < 150; ++y)
        for (std::size_t x = 790; x < 940; ++x)
            if (golden.rgb[y * golden.width + x] > golden.rgb[brightest])
                brightest = y * golden.width + x;
    Pixels changed = golden;
    changed.rgb[brightest] = {22, 27, 34}; // as if the glyph ended there
    const Difference difference = compare(changed, golden);
    EXPECT_EQ(difference.pixels, 1u);
    EXPECT_FALSE(difference.tolerable(golden.rgb.size())) << difference.text();
}

TEST(Compare, LetsRoundingPassAndNothingElse) {
    const Pixels golden = golden_window();
    ASSERT_FALSE(golden.rgb.empty());
    EXPECT_TRUE(compare(golden, golden).tolerable(golden.rgb.size()));

    const auto changed = [&](std::size_t pixels, std::uint8_t by) {
        Pixels picture = golden;
        for (std::size_t i = 0; i < pixels; ++i)
            picture.rgb[i * 7][1] = static_cast<std::uint8_t>(picture.rgb[i * 7][1] + by);
        return compare(picture, golden).tolerable(golden.rgb.size());
    };
    const std::size_t most = golden.rgb.size() / 1000;
    EXPECT_TRUE(changed(most, 2));
    EXPECT_FALSE(changed(most + 1, 2));
    EXPECT_FALSE(changed(1, 3));

    Pixels smaller = golden;
    smaller.height -= 1;
    smaller.rgb.resize(std::size_t{smaller.width} * smaller.height);
    EXPECT_FALSE(compare(smaller, golden).tolerable(golden.rgb.size()));
}

} // namespace
} // namespace clearframe::test
