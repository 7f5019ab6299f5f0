#include "core/error.h"
#include "gpu/kms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace clearframe {
namespace {

using testing::HasSubstr;

const std::vector<ScreenMode> modes{
    {1280, 800, 75}, {1920, 1080, 60}, {1280, 800, 60}, {640, 480, 60}};

TEST(ChooseMode, TakesThatOfTheFramesSize) {
    EXPECT_EQ(choose_mode(modes, 1920, 1080), 1u);
    EXPECT_EQ(choose_mode(modes, 640, 480), 3u);
}

TEST(ChooseMode, TakesTheFirstOfSeveral) { EXPECT_EQ(choose_mode(modes, 1280, 800), 0u); }

TEST(ChooseMode, OtherwiseTheLargestThatTheFrameCovers) {
    EXPECT_EQ(choose_mode(modes, 16384, 16384), 1u);
    EXPECT_EQ(choose_mode(modes, 1919, 1080), 0u) << "one column too few";
    EXPECT_EQ(choose_mode(modes, 1920, 1079), 0u) << "one row too few";
    EXPECT_EQ(choose_mode(modes, 16384, 799), 3u);
}

TEST(ChooseMode, FindsNoneThatIsTooLarge) {
    EXPECT_EQ(choose_mode(modes, 639, 16384), std::nullopt);
    EXPECT_EQ(choose_mode(modes, 16384, 479), std::nullopt);
    EXPECT_EQ(choose_mode({}, 1920, 1080), std::nullopt);
}

const std::vector<Candidate> cards{
    {.name = "card0", .detail = "bochs-drm", .refusal = "not connected"},
    {.name = "card2", .detail = "bochs-drm, Virtual-1 at 1280x800", .usable = true},
    {.name = "card1", .detail = "vkms, Virtual-2 at 1024x768", .usable = true, .emulated = true},
    {.name = "card3", .refusal = "card3: EACCES"},
};

TEST(ResolveScreen, KnowsNodesAndDrivers) {
    EXPECT_EQ(resolve_screen("", cards), "auto");
    EXPECT_EQ(resolve_screen("card1", cards), "card1");
    EXPECT_EQ(resolve_screen("/dev/dri/card1", cards), "card1");
    EXPECT_EQ(resolve_screen("vkms", cards), "card1");
    EXPECT_EQ(resolve_screen("card3", cards), "card3") << "choose() says why it cannot be used";
}

TEST(ResolveScreen, PrefersTheCardOfADriverThatCanBeUsed) {
    EXPECT_EQ(resolve_screen("bochs-drm", cards), "card2");
    EXPECT_EQ(resolve_screen("bochs-drm", std::vector{cards[0]}), "card0");
}

Error refusal(std::string_view request, std::span<const Candidate> screens) {
    try {
        const std::string name = resolve_screen(request, screens);
        return {Failure::run, "it means " + name, {}, {}};
    } catch (const Error& error) {
        return error;
    }
}

TEST(ResolveScreen, WhatIsNotThereIsUnavailable) {
    for (const char* request : {"card", "card4", "/dev/dri/vkms0", "vk", "Virtual-1"}) {
        const Error error = refusal(request, cards);
        EXPECT_EQ(error.failure(), Failure::unavailable) << error.what();
        EXPECT_THAT(error.what(), HasSubstr(request));
        EXPECT_THAT(error.what(), HasSubstr("card2 (bochs-drm)"));
    }
}

TEST(ResolveScreen, SaysWhatToDoWhereThereIsNoCard) {
    for (const char* request : {"", "card0"}) {
        const Error error = refusal(request, {});
        EXPECT_EQ(error.failure(), Failure::unavailable);
        EXPECT_THAT(error.what(), HasSubstr("ENOENT"));
        EXPECT_THAT(error.advice(), HasSubstr("modprobe vkms"));
    }
}

} // namespace
} // namespace clearframe
