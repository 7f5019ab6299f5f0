// The real window, on an X server of its own.
#include "support/files.h"
#include "support/process.h"
#include "support/x_server.h"
#include "ui/window.h"
#include "unit/ui/display_support.h"

#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <thread>

namespace clearframe {
namespace {

using test::open_descriptors;
using test::Screen;
using test::XServer;

constexpr Nanoseconds patience = 60'000'000'000; // a hang ends the test, not a slow machine

class WindowTest : public ::testing::Test {
protected:
    void SetUp() override {
        keep_validation_loaded();
        if (!XServer::is_installed())
            GTEST_SKIP() << "Xvfb is not installed";
        server_ = std::make_unique<XServer>(2600, 1500);
        ::setenv("DISPLAY", server_->display().c_str(), 1);
        ::unsetenv("WAYLAND_DISPLAY");
    }

    static DisplayOptions options() {
        return {
            .window = true, .width = 1440, .height = 900, .frames_per_s = 100, .validation = true};
    }

    // What a user does: xdotool with these arguments.
    static void act(std::vector<std::string> arguments) {
        const auto finished =
            test::run({.arguments = std::move(arguments), .program = "/usr/bin/xdotool"});
        EXPECT_EQ(finished.status, 0) << finished.describe();
    }
    static void act_on_window(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {"search", "--name", "^clearframe$"});
        act(std::move(arguments));
    }

    std::unique_ptr<XServer> server_;
};

// Goes on with frames until `done`; false when the window has gone before, or time is up.
bool draw_until(Display& display, Panel& panel, ShownFrames& frames,
                const std::function<bool()>& done) {
    const Nanoseconds end = now() + patience;
    while (!done()) {
        if (now() > end || !display.next_frame())
            return false;
        frames.draw(display);
        display.draw(panel, make_snapshot());
    }
    return true;
}

bool is_shown(const Screen& screen, const Picture& picture) {
    if (picture.rgba.empty() || picture.width > screen.width || picture.height > screen.height)
        return false;
    for (std::uint32_t y = 0; y < picture.height; ++y) {
        for (std::uint32_t x = 0; x < picture.width; ++x) {
            const std::byte* rgb = &picture.rgba[4 * (std::size_t{y} * picture.width + x)];
            const auto channel = [&](int i) { return std::to_integer<std::uint32_t>(rgb[i]); };
            if (screen.at(x, y) != (channel(0) << 16 | channel(1) << 8 | channel(2)))
                return false;
        }
    }
    return true;
}

TEST_F(WindowTest, ShowsWhatItDrawsAtEverySize) {
    Display display(options());
    EXPECT_TRUE(display.describe().ends_with("; X11")) << display.describe();
    ShownFrames frames;
    Panel panel;
    for (const auto& [width, height] : {std::pair{1440u, 900u}, std::pair{1280u, 720u},
                                        std::pair{2560u, 1440u}, std::pair{1501u, 803u}}) {
        SCOPED_TRACE(::testing::Message() << width << "x" << height);
        act_on_window({"windowsize", std::to_string(width), std::to_string(height)});
        // There is no window manager: it stays where it is put.
        EXPECT_TRUE(draw_until(display, panel, frames, [&] {
            const Picture picture = display.read();
            return picture.width == width && picture.height == height &&
                   is_shown(server_->screen(), picture);
        }));
    }
    EXPECT_EQ(display.validation_messages(), 0u) << display.first_validation_message();
}

TEST_F(WindowTest, TheCloseButton) {
    Display display(options());
    ShownFrames frames;
    Panel panel;
    ASSERT_TRUE(draw_until(display, panel, frames, [&] { return display.read().width > 0; }));
    EXPECT_TRUE(server_->close_window("clearframe"));
    EXPECT_FALSE(draw_until(display, panel, frames, [] { return false; }));
    EXPECT_EQ(display.validation_messages(), 0u) << display.first_validation_message();
}

// Others end it: as xkill does, and by destroying the window.
TEST_F(WindowTest, ClosedByOthers) {
    for (const char* how : {"windowkill", "windowclose"}) {
        SCOPED_TRACE(how);
        Display display(options());
        ShownFrames frames;
        Panel panel;
        ASSERT_TRUE(draw_until(display, panel, frames, [&] { return display.read().width > 0; }));
        act_on_window({how});
        const Nanoseconds start = now();
        EXPECT_FALSE(draw_until(display, panel, frames, [] { return false; }));
        EXPECT_LT(now() - start, patience);
        EXPECT_EQ(display.validation_messages(), 0u) << display.first_validation_message();
    }
}

// After as many frames as that, and while one is being drawn.
TEST_F(WindowTest, TheServerDies) {
    {
        Display once(options()); // what the drivers keep
    }
    const auto before = open_descriptors();
    for (int frames_before = 0; frames_before < 4; ++frames_before) {
        SCOPED_TRACE(frames_before);
        const auto server = std::make_unique<XServer>(1600, 1000);
        ::setenv("DISPLAY", server->display().c_str(), 1);
        Display display(options());
        ShownFrames frames;
        Panel panel;
        int drawn = 0;
        ASSERT_TRUE(draw_until(display, panel, frames, [&] { return drawn++ == frames_before; }));
        server->kill();
        const Nanoseconds start = now();
        EXPECT_FALSE(draw_until(display, panel, frames, [] { return false; }));
        EXPECT_LT(now() - start, patience);
        EXPECT_FALSE(display.next_frame()) << "and it stays so";
        EXPECT_EQ(display.validation_messages(), 0u) << display.first_validation_message();
    }
    {
        const auto server = std::make_unique<XServer>(1600, 1000);
        ::setenv("DISPLAY", server->display().c_str(), 1);
        Display display(options());
        ShownFrames frames;
        Panel panel;
        std::thread killer([&] { server->kill(); });
        EXPECT_FALSE(draw_until(display, panel, frames, [] { return false; }));
        killer.join();
    }
    EXPECT_EQ(open_descriptors(), before);
}

TEST_F(WindowTest, AHiddenWindowGoesOn) {
    Display display(options());
    ShownFrames frames;
    Panel panel;
    ASSERT_TRUE(draw_until(display, panel, frames,
                           [&] { return is_shown(server_->screen(), display.read()); }));
    act_on_window({"windowunmap", "--sync"});
    for (int i = 0; i < 10; ++i) {
        ASSERT_TRUE(display.next_frame());
        display.draw(panel, make_snapshot());
    }
    act_on_window({"windowmap", "--sync"});
    EXPECT_TRUE(draw_until(display, panel, frames,
                           [&] { return is_shown(server_->screen(), display.read()); }));
    EXPECT_EQ(display.validation_messages(), 0u) << display.first_validation_message();
}

TEST_F(WindowTest, TheScaleIsAskedForOrTheMonitors) {
    {
        const Window window(1280, 720, 0);
        EXPECT_EQ(window.scale(), 1);
    }
    const Window window(1280, 720, 1.5);
    EXPECT_EQ(window.scale(), 1.5);
    EXPECT_EQ(window.system(), "X11");
}

TEST_F(WindowTest, AMonitorOfManyDots) {
    server_->set_dpi(192);
    {
        const Window window(1280, 720, 0);
        EXPECT_EQ(window.scale(), 2);
        EXPECT_EQ(window.size().width, 2560u);
        EXPECT_EQ(window.size().height, 1440u);
    }
    Display display(options());
    ShownFrames frames;
    Panel panel;
    EXPECT_TRUE(draw_until(display, panel, frames,
                           [&] { return is_shown(server_->screen(), display.read()); }));
}

class InputTest : public WindowTest {
protected:
    void SetUp() override {
        WindowTest::SetUp();
        if (IsSkipped())
            return;
        window_ = std::make_unique<Window>(1280, 720, 1);
        act_on_window({"windowfocus", "--sync"});
    }

    // Until as many keys have come.
    std::vector<Key> keys(std::size_t count) {
        std::vector<Key> all;
        for (const Nanoseconds end = now() + patience; all.size() < count && now() < end;) {
            window_->handle_events(now() + 10'000'000);
            for (const Key key : window_->take_keys())
                all.push_back(key);
        }
        return all;
    }

    Pointer pointer_when(const std::function<bool(const Pointer&)>& is_so) {
        Pointer pointer;
        for (const Nanoseconds end = now() + patience; now() < end;) {
            window_->handle_events(now() + 10'000'000);
            pointer = window_->take_pointer();
            if (is_so(pointer))
                return pointer;
        }
        ADD_FAILURE() << "it never was so";
        return pointer;
    }

    std::unique_ptr<Window> window_;
};

TEST_F(InputTest, KeysAreTheCharactersTheyType) {
    act({"key", "s"});
    act({"key", "shift+s"});
    act({"key", "question"});
    act({"key", "bracketleft"});
    act({"key", "space"});
    act({"key", "F1"});
    act({"key", "F12"});
    act({"key", "Escape"});
    act({"key", "ctrl+c"}); // is none of the panel's
    act({"key", "F2"});
    act({"key", "1"});
    EXPECT_EQ(keys(9),
              (std::vector<Key>{U's', U'S', U'?', U'[', U' ', key_f1, key_f12, key_escape, U'1'}));
}

TEST_F(InputTest, ThePointerItsButtonsAndItsWheel) {
    act({"mousemove", "123", "45"});
    const Pointer there = pointer_when([](const Pointer& p) { return p.x == 123 && p.y == 45; });
    EXPECT_TRUE(there.inside);
    EXPECT_FALSE(there.down[0]);
    act({"mousedown", "1"});
    pointer_when([](const Pointer& p) { return p.down[0] && !p.down[1]; });
    EXPECT_TRUE(window_->take_pointer().down[0]) << "as long as it is held";
    act({"mouseup", "1"});
    pointer_when([](const Pointer& p) { return !p.down[0]; });
    // Pressed and released between two frames.
    act({"click", "3"});
    pointer_when([](const Pointer& p) { return p.down[1]; });
    EXPECT_FALSE(window_->take_pointer().down[1]);
    act({"click", "4"});
    pointer_when([](const Pointer& p) { return p.wheel_y == 1; });
    EXPECT_EQ(window_->take_pointer().wheel_y, 0);
    act({"mousemove", "2000", "1400"});
    pointer_when([](const Pointer& p) { return !p.inside; });
}

TEST_F(InputTest, TheWindowHasASmallestSize) {
    EXPECT_EQ(window_->size().width, 1280u);
    EXPECT_EQ(window_->size().height, 720u);
}

} // namespace
} // namespace clearframe
