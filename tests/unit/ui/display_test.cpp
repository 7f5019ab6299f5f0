// The display without a window.
#include "support/files.h"
#include "unit/ui/display_support.h"

#include <fmt/format.h>
#include <imgui.h>

#include <stdlib.h>

#include <filesystem>

namespace clearframe {
namespace {

class OffscreenTest : public testing::Test {
protected:
    void SetUp() override {
        keep_validation_loaded();
        if (!has_vulkan())
            GTEST_SKIP() << "no Vulkan driver has a device";
    }

    static DisplayOptions options(std::uint32_t width = 1440, std::uint32_t height = 900,
                                  double scale = 0) {
        return {.window = false,
                .width = width,
                .height = height,
                .scale = scale,
                .frames_per_s = 1000,
                .validation = true};
    }

    static void expect_silence(const Display& display) {
        EXPECT_EQ(display.validation_messages(), 0u) << display.first_validation_message();
    }
};

TEST_F(OffscreenTest, EverySizeAndScaleTheSameEveryTime) {
    const Snapshot snapshot = make_snapshot();
    for (const auto& [width, height, scale] :
         {std::tuple{1280u, 720u, 1.0}, std::tuple{1440u, 900u, 1.0}, std::tuple{1920u, 1080u, 1.0},
          std::tuple{2560u, 1440u, 1.0}, std::tuple{1280u, 720u, 1.5}, std::tuple{1440u, 900u, 2.0},
          std::tuple{1281u, 721u, 1.25}, std::tuple{640u, 360u, 1.0}}) {
        SCOPED_TRACE(fmt::format("{}x{} at {}", width, height, scale));
        std::vector<Picture> pictures;
        for (int i = 0; i < 2; ++i) {
            Display display(options(width, height, scale));
            ShownFrames frames;
            Panel panel;
            const Picture& picture =
                pictures.emplace_back(draw_settled(display, panel, snapshot, &frames));
            EXPECT_EQ(picture.width, std::lround(width * scale));
            EXPECT_EQ(picture.height, std::lround(height * scale));
            ASSERT_EQ(picture.rgba.size(), std::size_t{4} * picture.width * picture.height);
            expect_silence(display);
        }
        for (std::size_t i = 3; i < pictures[0].rgba.size(); i += 4)
            ASSERT_EQ(pictures[0].rgba[i], std::byte{255}) << "not opaque";
        EXPECT_TRUE(pictures[0].rgba == pictures[1].rgba);
    }
}

TEST_F(OffscreenTest, TheFramesAreWhereThePanelHasRoomForThem) {
    const Snapshot snapshot = make_snapshot();
    Display display(options());
    Panel panel;
    const Picture without = draw_settled(display, panel, snapshot);
    ShownFrames frames;
    const Picture with = draw_settled(display, panel, snapshot, &frames);
    ASSERT_EQ(panel.views().size(), snapshot.paths.size());
    ASSERT_EQ(with.rgba.size(), without.rgba.size());
    std::vector<std::size_t> changed(panel.views().size());
    for (std::uint32_t y = 0; y < with.height; ++y) {
        for (std::uint32_t x = 0; x < with.width; ++x) {
            const std::size_t at = 4 * (std::size_t{y} * with.width + x);
            if (std::equal(&with.rgba[at], &with.rgba[at] + 4, &without.rgba[at]))
                continue;
            bool inside = false;
            for (std::size_t i = 0; i < panel.views().size(); ++i) {
                const ViewArea& area = panel.views()[i];
                if (x >= area.x && x < area.x + area.width && y >= area.y &&
                    y < area.y + area.height) {
                    inside = true;
                    ++changed[i];
                }
            }
            ASSERT_TRUE(inside) << x << ", " << y;
        }
    }
    for (std::size_t i = 0; i < changed.size(); ++i)
        EXPECT_GT(changed[i], std::size_t{panel.views()[i].width} * panel.views()[i].height / 2);

    // What no path shows any more is not shown.
    Snapshot nothing_shown = snapshot;
    for (PathSnapshot& path : nothing_shown.paths)
        path.shown.reset();
    const Picture after = draw_settled(display, panel, nothing_shown);
    EXPECT_FALSE(after.rgba == with.rgba);
    expect_silence(display);
}

TEST_F(OffscreenTest, PathsComeAndGo) {
    Snapshot snapshot = make_snapshot();
    Display display(options());
    ShownFrames frames;
    Panel panel;
    const Picture two = draw_settled(display, panel, snapshot, &frames);
    snapshot.paths.pop_back();
    draw_settled(display, panel, snapshot, &frames);
    snapshot.paths.clear();
    draw_settled(display, panel, snapshot, &frames);
    const Picture again = draw_settled(display, panel, make_snapshot(), &frames);
    EXPECT_TRUE(two.rgba == again.rgba);
    expect_silence(display);
}

TEST_F(OffscreenTest, CostsAreThoseOfTheLastSecond) {
    Display display(options(1280, 720));
    EXPECT_EQ(display.cost().frames_per_s, 0);
    EXPECT_EQ(display.cost().draw_ms, 0);
    ShownFrames frames;
    Panel panel;
    for (int i = 0; i < 300; ++i) { // more than are kept
        ASSERT_TRUE(display.next_frame());
        if (i % 50 == 0)
            frames.draw(display);
        display.draw(panel, make_snapshot());
    }
    EXPECT_GT(display.cost().frames_per_s, 0);
    EXPECT_GT(display.cost().panel_ms, 0);
    EXPECT_GT(display.cost().draw_ms, 0);
    EXPECT_LE(display.cost().draw_ms * display.cost().frames_per_s, 1100.0)
        << "more than all of the second";
}

TEST_F(OffscreenTest, ReadsWhatWasDrawnLast) {
    Display display(options(1280, 720));
    EXPECT_EQ(display.read().rgba.size(), 0u) << "nothing yet";
    Panel panel;
    const Picture picture = draw_settled(display, panel, make_snapshot());
    EXPECT_TRUE(display.read().rgba == picture.rgba);
    panel.open(Overlay::help);
    EXPECT_FALSE(draw_settled(display, panel, make_snapshot()).rgba == picture.rgba);
}

TEST_F(OffscreenTest, SaysWhatItDrawsWith) {
    const Display display(options());
    EXPECT_TRUE(display.describe().ends_with("; no window")) << display.describe();
    const std::string name = display.describe().substr(0, display.describe().rfind("; "));
    DisplayOptions named = options();
    named.gpu = name;
    EXPECT_EQ(Display(named).describe(), display.describe());
    named.gpu = "a GPU that nobody has";
    EXPECT_EQ(Display(named).describe(), display.describe());
}

TEST_F(OffscreenTest, ThePointerIsWhereItIsSaidToBe) {
    Display display(options(1280, 720, 2));
    Panel panel;
    display.set_pointer(100, 50);
    draw_settled(display, panel, make_snapshot());
    EXPECT_EQ(ImGui::GetIO().MousePos.x, 200) << "in pixels of the canvas";
    EXPECT_EQ(ImGui::GetIO().MousePos.y, 100);
    EXPECT_TRUE(display.next_frame());
}

TEST_F(OffscreenTest, GivesEverythingBack) {
    const auto once = [] {
        Display display(options(1280, 720));
        ShownFrames frames;
        Panel panel;
        draw_settled(display, panel, make_snapshot(), &frames);
    };
    once(); // what the driver keeps
    const auto before = test::open_descriptors();
    for (int i = 0; i < 3; ++i)
        once();
    EXPECT_EQ(test::open_descriptors(), before);
}

TEST(NoDisplayTest, SaysWhatIsMissingAndWhatToDo) {
    ::unsetenv("WAYLAND_DISPLAY");
    for (const char* display : {"", ":65000"}) {
        if (*display)
            ::setenv("DISPLAY", display, 1);
        else
            ::unsetenv("DISPLAY");
        try {
            const Display opened(DisplayOptions{});
            FAIL() << "a window was opened";
        } catch (const Error& error) {
            EXPECT_EQ(error.failure(), Failure::unavailable);
            const std::string text = error.what();
            for (const char* said : {"no display can be opened", "WAYLAND_DISPLAY is not set",
                                     "GLFW error", "--offscreen"})
                EXPECT_NE(text.find(said), text.npos) << text;
            EXPECT_NE(text.find(*display ? "DISPLAY is ':65000'" : "DISPLAY is not set"), text.npos)
                << text;
        }
    }
}

} // namespace
} // namespace clearframe
