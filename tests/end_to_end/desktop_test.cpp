// The demo on a desktop: the real program in a real window, on X servers and a Wayland compositor
// of the tests' own, driven with keys and mouse, and closed in every way there is.
#include "support/files.h"
#include "support/pictures.h"
#include "support/process.h"
#include "support/program.h"
#include "support/snapshots.h"
#include "support/x_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <thread>

namespace clearframe::test {
namespace {

using ::testing::HasSubstr;

namespace fs = std::filesystem;
using nlohmann::json;
using namespace std::chrono_literals;

constexpr auto patience = 90s; // a hang ends a test, not a slow machine

// Asks again and again, some times a second, until it is so. False when time is up.
bool becomes(const std::function<bool()>& so) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!so()) {
        if (std::chrono::steady_clock::now() > end)
            return false;
        std::this_thread::sleep_for(50ms);
    }
    return true;
}

std::vector<fs::path> files_in(const fs::path& folder, std::string_view ending) {
    std::vector<fs::path> found;
    for (const auto& file : fs::directory_iterator(folder))
        // A temporary file is not there yet.
        if (file.path().extension() == ending && file.path().filename().string()[0] != '.')
            found.push_back(file.path());
    return found;
}

class Desktop : public ::testing::Test {
protected:
    void SetUp() override {
        if (!XServer::is_installed())
            GTEST_SKIP() << "Xvfb is not installed";
        server_ = std::make_unique<XServer>(1600, 1000);
    }

    // Starts the demo with a window of 1280x720; its end is the future's.
    std::future<Finished> start(std::vector<std::string> arguments,
                                std::vector<SignalAfter> signals = {}) {
        arguments.insert(arguments.begin(), {"demo", "--size-window", "1280x720", "--scale", "1"});
        Command command{
            .arguments = std::move(arguments),
            .environment = {{"DISPLAY", server_->display()}, {"WAYLAND_DISPLAY", std::nullopt}},
            .directory = files_.path(),
            .signals = std::move(signals)};
        return std::async(std::launch::async, [command] { return run(command); });
    }
    // A stream that is easy on any machine.
    std::future<Finished> start_live(std::vector<std::string> more = {},
                                     std::vector<SignalAfter> signals = {}) {
        std::vector<std::string> arguments{"--size", "320x180", "--ring",
                                           "4",      "--save",  files_.path()};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return start(std::move(arguments), std::move(signals));
    }

    // Whether the window shows anything but the server's black screen.
    bool is_shown() const {
        const Screen screen = server_->screen();
        return screen.at(4, 4) == 0x161b22 && screen.at(1276, 4) == 0x161b22;
    }

    // What a user does: xdotool with these arguments, on the window.
    void act(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {"search", "--name", "^clearframe$"});
        const Finished done = run({.arguments = std::move(arguments),
                                   .environment = {{"DISPLAY", server_->display()}},
                                   .program = "/usr/bin/xdotool"});
        EXPECT_EQ(done.status, 0) << done.describe();
    }
    void press(const std::string& key) { act({"windowfocus", "key", key}); }
    void click(int x, int y) {
        act({"mousemove", "--window", "%1", std::to_string(x), std::to_string(y), "click", "1"});
    }

    // Presses S until there are results, and reads them.
    json save_results() {
        const std::size_t before = files_in(files_.path(), ".json").size();
        std::vector<fs::path> saved;
        EXPECT_TRUE(becomes([&] {
            press("s");
            saved = files_in(files_.path(), ".json");
            return saved.size() > before;
        }));
        if (saved.empty())
            return {};
        std::sort(saved.begin(), saved.end());
        return json::parse(std::ifstream(saved.back()));
    }
    // Presses S until the results saved say so.
    bool results_become(const std::function<bool(const json&)>& so) {
        return becomes([&] {
            for (const fs::path& old : files_in(files_.path(), ".json"))
                fs::remove(old);
            return so(save_results());
        });
    }

    // Closes the window, and expects a good end.
    void close(std::future<Finished>& demo) {
        EXPECT_TRUE(becomes([&] { return server_->close_window("clearframe"); }));
        const Finished done = demo.get();
        EXPECT_EQ(done.status, 0) << done.describe();
    }

    TemporaryDirectory files_;
    std::unique_ptr<XServer> server_;
};

TEST_F(Desktop, TheScreenShowsThePictureThatIsDrawnWithoutIt) {
    const fs::path states = fs::path(CLEARFRAME_STATES);
    std::ofstream(files_ / "state.json") << state_json(states, "running");
    const Finished offscreen =
        run({.arguments = {"demo", "--offscreen", "--size-window", "1280x720", "--replay",
                           files_ / "state.json", "--screenshot", files_ / "picture.png"}});
    ASSERT_EQ(offscreen.status, 0) << offscreen.describe();
    const std::optional<Pixels> expected = read_png(files_ / "picture.png");
    ASSERT_TRUE(expected);

    std::future<Finished> demo = start({"--replay", files_ / "state.json"});
    std::size_t wrong = 0;
    EXPECT_TRUE(becomes([&] {
        const Screen screen = server_->screen();
        wrong = 0;
        for (std::uint32_t y = 0; y < expected->height; ++y)
            for (std::uint32_t x = 0; x < expected->width; ++x) {
                const auto& rgb = expected->rgb[std::size_t{y} * expected->width + x];
                wrong += screen.at(x, y) != (std::uint32_t{rgb[0]} << 16 |
                                             std::uint32_t{rgb[1]} << 8 | std::uint32_t{rgb[2]});
            }
        return wrong == 0;
    })) << wrong
        << " pixels of the screen differ from the picture";
    close(demo);
}

TEST_F(Desktop, KeysAndMouseChangeTheStreamWhileItRuns) {
    std::future<Finished> demo = start_live();
    ASSERT_TRUE(becomes([&] { return is_shown(); }));
    EXPECT_EQ(save_results()["results"][0]["scene"], "waves");

    press("v"); // verify: sampled → full
    EXPECT_TRUE(results_become([](const json& run) { return run["config"]["verify"] == "full"; }));
    click(951, 542); // scene: test card
    EXPECT_TRUE(
        results_become([](const json& run) { return run["results"][0]["scene"] == "test-card"; }));
    press("2"); // staging: off
    EXPECT_TRUE(results_become([](const json& run) {
        return run["results"][0]["paths"].size() == 1 &&
               run["results"][0]["paths"][0]["path"] == "zero-copy";
    }));
    const json last = save_results();
    for (const json& path : last["results"][0]["paths"]) {
        EXPECT_EQ(path["lost"], 0);
        EXPECT_EQ(path["corrupt"], 0);
        EXPECT_EQ(path["cpu_copied_bytes"], 0);
    }

    press("F12");
    EXPECT_TRUE(becomes([&] { return !files_in(files_.path(), ".png").empty(); }));
    press("q");
    const Finished done = demo.get();
    EXPECT_EQ(done.status, 0) << done.describe();
    const std::optional<Pixels> picture = read_png(files_in(files_.path(), ".png").at(0));
    ASSERT_TRUE(picture);
    EXPECT_EQ(picture->width, 1280u);
    EXPECT_EQ(picture->height, 720u);
}

TEST_F(Desktop, TheDoctorLooksWhileTheStreamRuns) {
    std::future<Finished> demo = start_live();
    ASSERT_TRUE(becomes([&] { return is_shown(); }));
    constexpr std::uint32_t card = 0x1a2029, good = 0x3fb950;
    const auto colour_at = [&](std::uint32_t x, std::uint32_t y) {
        return server_->screen().at(x, y);
    };
    press("d");
    EXPECT_TRUE(becomes([&] { return colour_at(40, 60) == card; })) << "its view";
    // The mark of how many findings are good: there once it has looked.
    EXPECT_TRUE(becomes([&] { return colour_at(66, 113) == good; })) << "what it found";
    EXPECT_GT(save_results()["results"][0]["paths"][0]["frames"], 0) << "the stream goes on";
    press("Escape");
    EXPECT_TRUE(becomes([&] { return colour_at(40, 60) != card; }));
    click(400, 24); // on the heap's chip
    EXPECT_TRUE(becomes([&] { return colour_at(66, 113) == good; }));
    press("q"); // with the view open, whatever it does
    const Finished done = demo.get();
    EXPECT_EQ(done.status, 0) << done.describe();
}

TEST_F(Desktop, TheEndDoesNotWaitForTheDoctor) {
    std::future<Finished> demo = start_live();
    ASSERT_TRUE(becomes([&] { return is_shown(); }));
    act({"windowfocus", "key", "d", "key", "q"});
    const Finished done = demo.get();
    EXPECT_EQ(done.status, 0) << done.describe();
}

TEST_F(Desktop, AResizedWindowIsDrawnInItsNewSize) {
    std::future<Finished> demo = start_live();
    ASSERT_TRUE(becomes([&] { return is_shown(); }));
    act({"windowsize", "1500", "900"});
    EXPECT_TRUE(becomes([&] {
        const Screen screen = server_->screen();
        return screen.at(1496, 4) == 0x161b22 && screen.at(4, 896) == 0x0d1117;
    }));
    press("F12");
    EXPECT_TRUE(becomes([&] { return !files_in(files_.path(), ".png").empty(); }));
    close(demo);
    const std::optional<Pixels> picture = read_png(files_in(files_.path(), ".png").at(0));
    ASSERT_TRUE(picture);
    EXPECT_EQ(picture->width, 1500u);
    EXPECT_EQ(picture->height, 900u);
}

TEST_F(Desktop, ItsButtonClosesIt) {
    std::future<Finished> demo = start_live();
    ASSERT_TRUE(becomes([&] { return is_shown(); }));
    close(demo);
}

TEST_F(Desktop, CtrlCClosesIt) {
    std::future<Finished> demo = start_live({}, {{"demo drawn by", SIGINT}});
    const Finished done = demo.get();
    EXPECT_EQ(done.signals_sent, 1u);
    EXPECT_EQ(done.status, 0) << done.describe();
}

TEST_F(Desktop, ADyingDisplayEndsItAndNothingHangs) {
    std::future<Finished> demo = start_live();
    ASSERT_TRUE(becomes([&] { return is_shown(); }));
    server_->kill();
    const Finished done = demo.get();
    EXPECT_FALSE(done.timed_out) << done.describe();
    EXPECT_EQ(done.signal, 0) << done.describe();
    EXPECT_TRUE(done.status) << done.describe();
}

TEST_F(Desktop, ValidationLayersHaveNothingToSay) {
    Command command{.arguments = {"demo", "--size", "320x180", "--ring", "4", "--screenshot",
                                  files_ / "window.png", "--after", "1"},
                    .environment = {{"DISPLAY", server_->display()},
                                    {"WAYLAND_DISPLAY", std::nullopt},
                                    {"CLEARFRAME_VALIDATION", "1"},
                                    // What the layer leaks has no name once it is unloaded; the
                                    // window's own leaks are looked for in the other tests.
                                    {"ASAN_OPTIONS", "detect_leaks=0"}}};
    const Finished done = run(command);
    EXPECT_EQ(done.status, 0) << done.describe();
    EXPECT_TRUE(fs::exists(files_ / "window.png"));
}

// Wayland. GLFW takes its library's kind: on Debian 12 that for Wayland is a package of its own,
// which ./check unpacks beside the build; from 3.4 on there is one for both.

// A compositor without a screen, as long as this lives.
class Weston {
public:
    // `folder`: of its socket, "wayland-test", and its log.
    explicit Weston(const fs::path& folder) {
        const std::string log = "--log=" + (folder / "weston.log").string();
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::setenv("XDG_RUNTIME_DIR", folder.c_str(), 1);
            ::execl("/usr/bin/weston", "weston", "--backend=headless-backend.so", "--width=1600",
                    "--height=1000", "--socket=wayland-test", "--idle-time=0", log.c_str(),
                    nullptr);
            ::_exit(127);
        }
    }
    ~Weston() { kill(); }
    Weston(const Weston&) = delete;
    Weston& operator=(const Weston&) = delete;

    void kill() {
        if (pid_ <= 0)
            return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }

private:
    pid_t pid_ = -1;
};

class Wayland : public ::testing::Test {
protected:
    void SetUp() override {
        if (!fs::exists("/usr/bin/weston"))
            GTEST_SKIP() << "weston is not installed";
        if (!fs::exists(library()))
            GTEST_SKIP() << "there is no libglfw for Wayland in " << library().parent_path()
                         << ": ./check puts it there";
        if (crashes_without_a_seat())
            GTEST_SKIP() << "GLFW 3.4 crashes on a compositor without a seat, as weston's headless "
                            "one is (GLFW's issue 2517)";
        weston_ = std::make_unique<Weston>(files_.path());
        ASSERT_TRUE(becomes([&] { return fs::exists(files_ / "wayland-test"); }));
    }

    static bool crashes_without_a_seat() {
        void* const glfw = ::dlopen(library().c_str(), RTLD_NOW | RTLD_LOCAL);
        const auto version =
            glfw ? reinterpret_cast<const char* (*)()>(::dlsym(glfw, "glfwGetVersionString"))
                 : nullptr;
        return version && std::string_view(version()).starts_with("3.4");
    }

    static fs::path library() { return fs::path(CLEARFRAME_WAYLAND) / "libglfw.so.3"; }

    std::map<std::string, std::optional<std::string>> environment() const {
        return {{"DISPLAY", std::nullopt},
                {"WAYLAND_DISPLAY", "wayland-test"},
                {"XDG_RUNTIME_DIR", files_.path()}};
    }

    TemporaryDirectory files_;
    std::unique_ptr<Weston> weston_;
};

TEST_F(Wayland, TheWindowIsShown) {
    const Finished done =
        run({.arguments = {"demo", "--size", "320x180", "--ring", "4", "--size-window", "1280x720",
                           "--screenshot", files_ / "window.png", "--after", "1"},
             .environment = environment(),
             .preload = {library()}});
    EXPECT_EQ(done.status, 0) << done.describe();
    EXPECT_THAT(done.out, HasSubstr("Wayland")) << done.describe();
    const std::optional<Pixels> picture = read_png(files_ / "window.png");
    ASSERT_TRUE(picture);
    EXPECT_EQ(picture->width, 1280u);
}

TEST_F(Wayland, ADyingCompositorEndsItAndNothingHangs) {
    const fs::path said = files_ / "said.txt";
    std::future<Finished> running = std::async(std::launch::async, [&] {
        return run({.arguments = {"-c", "exec \"$0\" demo --size 320x180 --ring 4 >\"$1\"",
                                  clearframe_program(), said},
                    .environment = environment(),
                    .preload = {library()},
                    .program = "/bin/sh"});
    });
    EXPECT_TRUE(becomes([&] {
        std::ifstream file(said);
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        return text.find("demo drawn by") != std::string::npos;
    }));
    weston_->kill();
    const Finished done = running.get();
    EXPECT_FALSE(done.timed_out) << done.describe();
    EXPECT_EQ(done.signal, 0) << done.describe();
    EXPECT_TRUE(done.status) << done.describe();
}

} // namespace
} // namespace clearframe::test
