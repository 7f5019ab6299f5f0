// Received frames on the guest's screens, out of the very slots they came in.
#include "coco_guest/drm.h"
#include "coco_guest/support.h"
#include "gpu/gpu.h"
#include "gpu/kms.h"
#include "nic/nic.h"
#include "pipeline/presenter.h"
#include "pipeline/session.h"
#include "support/process.h"
#include "support/program.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include <optional>
#include <string>
#include <vector>

namespace clearframe::guest {
namespace {

using clearframe::test::Finished;
using ::testing::HasSubstr;

constexpr std::uint32_t seed = 7;
constexpr Nanoseconds patience = 60'000'000'000; // a hang ends the test, not a slow machine

class PresentTest : public GuestTest {
protected:
    // The program with a small stream to show.
    static Finished bench(std::vector<std::string> more) {
        std::vector<std::string> arguments{"bench",   "--size",    "640x480",  "--frames", "4",
                                           "--block", "4",         "--warmup", "0",        "--ring",
                                           "4",       "--timeout", "60"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return clearframe::test::run({.arguments = std::move(arguments)});
    }
};

// A stream of one path of 640x480, from the real heap.
class Stream {
public:
    explicit Stream(ExposureMeter& meter)
        : gpu_(choose("GPU", "auto", Gpu::probe(*heap_, {})).index, *heap_, {}),
          session_({.width = 640,
                    .height = 480,
                    .ring = 4,
                    .seed = seed,
                    .verify = Verify::full,
                    .patience = patience,
                    .paths = {find_path("zero-copy"), find_path("staging")}},
                   {.shared_heap = *heap_,
                    .private_heap = *private_heap_,
                    .gpu = &gpu_,
                    .nic = *nic_,
                    .exposure = meter}) {
        session_.set_scene(Scene::test_card);
    }

    Session& session() { return session_; }
    void run_block(std::size_t path, std::uint64_t frames, FrameTap* tap) {
        session_.run_block(path, {.frames = frames, .until = now() + patience}, sent_, received_,
                           nullptr, tap);
    }
    std::vector<std::span<const DmaBuf>> frames() const {
        return {session_.frames(0), session_.frames(1)};
    }
    std::uint64_t bad() const { return received_.corrupt.get() + received_.lost.get(); }

private:
    std::unique_ptr<Heap> heap_ = open_heap(shared_heap);
    std::unique_ptr<Heap> private_heap_ = open_heap("system");
    Gpu gpu_;
    std::unique_ptr<Nic> nic_ = open_nic("emulated");
    SendMeter sent_;
    ReceiveMeter received_{0};
    Session session_;
};

// While a frame is on the screen QEMU takes a picture of it: what the CPU computes for that very
// frame, to the last pixel.
TEST_F(PresentTest, BochsShowsEveryReceivedFrameAsItWasRendered) {
    const BufferCount before = dma_bufs();
    {
        Stream stream(meter_);
        std::vector<std::uint64_t> sequences[2];
        Presenter presenter(
            clearframe::Screen::open("bochs-drm", 640, 480), stream.session().layout(),
            stream.frames(), [&] { stream.session().stop(); },
            [&](std::size_t path, std::uint64_t sequence) {
                const std::string name = fmt::format("shown-{}.ppm", sequence);
                EXPECT_TRUE(shows(screen_dump(name), 640, 480, Scene::test_card, seed, sequence))
                    << "frame " << sequence << " of path " << path;
                sequences[path].push_back(sequence);
            });
        EXPECT_TRUE(presenter.same_buffers());
        // A block may end before anybody has looked.
        for (const std::size_t path : {0u, 1u, 0u}) {
            const std::size_t shown = sequences[path].size();
            while (sequences[path].size() == shown)
                stream.run_block(path, 3, presenter.tap_for(path));
        }
        const std::uint64_t count = presenter.finish();
        EXPECT_EQ(count, sequences[0].size() + sequences[1].size());
        EXPECT_EQ(stream.bad(), 0u);
    }
    EXPECT_EQ(dma_bufs(), before);
}

// What a card's first CRTC shows: its framebuffer; 0: nothing.
std::uint32_t on_screen(const Card& card) {
    const std::unique_ptr<drmModeRes, decltype(&drmModeFreeResources)> resources(
        drmModeGetResources(card.fd()), drmModeFreeResources);
    const std::unique_ptr<drmModeCrtc, decltype(&drmModeFreeCrtc)> crtc(
        drmModeGetCrtc(card.fd(), resources->crtcs[0]), drmModeFreeCrtc);
    return crtc->mode_valid ? crtc->buffer_id : 0;
}

// A picture on the screen of vkms, as another program has left it there.
class Desktop {
public:
    Desktop() {
        screen_.show(framebuffer_);
        drmDropMaster(card_.fd());
    }
    bool is_shown() const { return on_screen(card_) == framebuffer_.id(); }

private:
    Card card_{"vkms"};
    guest::Screen screen_{card_};
    DumbBuffer plain_{card_, screen_.width(), screen_.height()};
    Framebuffer framebuffer_{card_, plain_.handle(), plain_.layout()};
};

TEST_F(PresentTest, WhatWasOnTheScreenIsThereAgain) {
    const Desktop desktop;
    {
        Stream stream(meter_);
        const auto presented = clearframe::Screen::open("vkms", 640, 480);
        presented->import(stream.session().frames(0), stream.session().layout());
        EXPECT_TRUE(desktop.is_shown());
        presented->show(0, 1);
        EXPECT_FALSE(desktop.is_shown());
        presented->show(0, 2);
        EXPECT_FALSE(desktop.is_shown());
    }
    EXPECT_TRUE(desktop.is_shown());
}

TEST_F(PresentTest, TheProgramShowsFramesOnEveryScreen) {
    const BufferCount before = dma_bufs();
    for (const auto& [where, driver, emulated] :
         {std::tuple{"kms", "bochs-drm", false}, {"kms:vkms", "vkms", true}}) {
        SCOPED_TRACE(where);
        const Finished done = bench({"--heap", shared_heap, "--scene", "test-card", "--verify",
                                     "full", "--present", where, "--json", "-"});
        ASSERT_EQ(done.status, 0) << done.describe();
        const nlohmann::json record = done.json();
        const nlohmann::json& presented = record["presented"];
        EXPECT_EQ(presented["driver"], driver);
        EXPECT_EQ(presented["emulated"], emulated);
        EXPECT_EQ(presented["mode"]["width"], 640);
        EXPECT_EQ(presented["mode"]["height"], 480);
        EXPECT_EQ(presented["same_buffer"], true);
        EXPECT_GE(presented["frames"], 1);
        EXPECT_LE(presented["frames"], 8);
        EXPECT_EQ(record["results"][0]["paths"][0]["cpu_copied_bytes"], 0);
        EXPECT_THAT(done.err, HasSubstr(fmt::format("frames were shown on {}",
                                                    presented["card"].get<std::string>())));
        EXPECT_EQ(done.err.find("a virtual screen") != std::string::npos, emulated) << done.err;
    }
    EXPECT_EQ(dma_bufs(), before);
}

// Shows frames until what is to go wrong goes wrong, and a good while if it does not.
clearframe::test::Command present_for_long() {
    return {.arguments = {"bench", "--heap",    shared_heap, "--gpu",     "none",      "--scene",
                          "none",  "--size",    "640x480",   "--paths",   "zero-copy", "--seconds",
                          "300",   "--block",   "4",         "--warmup",  "0",         "--ring",
                          "4",     "--timeout", "100",       "--present", "kms:vkms"},
            .preload = {clearframe::test::failing_calls_library()},
            .time_limit = std::chrono::milliseconds(280'000)};
}

struct Fault {
    const char* name;
    const char* fails;
    int status;
    std::vector<std::string> says;
};

void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

class PresentFault : public PresentTest, public ::testing::WithParamInterface<Fault> {};

TEST_P(PresentFault, IsSaidAndTheScreenIsAsItWas) {
    const BufferCount nothing = dma_bufs();
    std::optional<Desktop> desktop(std::in_place);
    const BufferCount before = dma_bufs();
    clearframe::test::Command command = present_for_long();
    command.environment["CLEARFRAME_FAIL"] = GetParam().fails;
    const Finished done = clearframe::test::run(command);
    EXPECT_EQ(done.status, GetParam().status) << done.describe();
    for (const std::string& text : GetParam().says)
        EXPECT_THAT(done.err, HasSubstr(text)) << done.describe();
    EXPECT_EQ(dma_bufs(), before);
    EXPECT_TRUE(desktop->is_shown());
    desktop.reset();
    EXPECT_EQ(dma_bufs(), nothing);
}

INSTANTIATE_TEST_SUITE_P(
    Kms, PresentFault,
    ::testing::Values(
        Fault{"FirstFramebuffer",
              "DRM_IOCTL_MODE_ADDFB2:1:EINVAL",
              3,
              {"drmModeAddFB2 of 640x480", "EINVAL (22", "Try another --size"}},
        Fault{"LaterFramebuffer",
              "DRM_IOCTL_MODE_ADDFB2:3:ENOMEM",
              3,
              {"drmModeAddFB2 of 640x480", "ENOMEM (12"}},
        Fault{"ModeSet",
              "DRM_IOCTL_MODE_SETCRTC:1:EINVAL",
              1,
              {"drmModeSetCrtc of ", "at 640x480: EINVAL (22", "Try another --size"}},
        Fault{"ModeSetByAnother",
              "DRM_IOCTL_MODE_SETCRTC:1:EACCES",
              1,
              {"drmModeSetCrtc of ", "EACCES (13", "Another program has taken"}},
        Fault{"Flip", "DRM_IOCTL_MODE_PAGE_FLIP:1:EBUSY", 1, {"drmModePageFlip: EBUSY (16"}},
        Fault{"LaterFlip",
              "DRM_IOCTL_MODE_PAGE_FLIP:5:EACCES",
              1,
              {"drmModePageFlip: EACCES (13", "taken the screen over"}},
        Fault{"FlipThatNeverEnds",
              "DRM_IOCTL_MODE_PAGE_FLIP:3:IGNORED",
              1,
              {"a page flip has not ended within 3 s: ETIMEDOUT (110", "dmesg"}}),
    [](const auto& test) { return test.param.name; });

// A signal comes with a frame that is shown: of a block's four frames none is shown twice, so that
// ten blocks at least have ended by then.
struct Ending {
    const char* name;
    const char* happens;
};

void PrintTo(const Ending& ending, std::ostream* out) { *out << ending.name; }

class PresentEnding : public PresentTest, public ::testing::WithParamInterface<Ending> {};

TEST_P(PresentEnding, ReportsAndTheScreenIsAsItWas) {
    const Desktop desktop;
    const BufferCount before = dma_bufs();
    clearframe::test::Command command = present_for_long();
    command.arguments.insert(command.arguments.end(), {"--json", "-"});
    command.environment["CLEARFRAME_FAIL"] = GetParam().happens;
    const Finished done = clearframe::test::run(command);
    ASSERT_EQ(done.status, 0) << done.describe();
    const nlohmann::json record = done.json();
    EXPECT_EQ(record["ended_early"], true);
    EXPECT_GE(record["presented"]["frames"], 40);
    EXPECT_GE(record["results"][0]["paths"][0]["frames"], 36);
    EXPECT_EQ(record["results"][0]["paths"][0]["corrupt"], 0);
    EXPECT_EQ(dma_bufs(), before);
    EXPECT_TRUE(desktop.is_shown());
}

INSTANTIATE_TEST_SUITE_P(
    Kms, PresentEnding,
    ::testing::Values(Ending{"CtrlC", "DRM_IOCTL_MODE_PAGE_FLIP:40:SIGINT"},
                      Ending{"Terminated", "DRM_IOCTL_MODE_PAGE_FLIP:40:SIGTERM"},
                      // A driver that knows no page flips: each frame is a mode set.
                      Ending{
                          "WithoutFlips",
                          "DRM_IOCTL_MODE_PAGE_FLIP:1+:EINVAL,DRM_IOCTL_MODE_SETCRTC:41:SIGINT"}),
    [](const auto& test) { return test.param.name; });

TEST_F(PresentTest, SaysWhyAScreenCannotBeHad) {
    const Card vkms("vkms");
    struct Refused {
        std::vector<std::string> arguments;
        std::vector<std::string> says;
    };
    const Refused all[] = {
        {{"--present", "kms:vkms"}, // this test is its master
         {"becoming its master", "Another program owns the screen"}},
        {{"--present", "kms:vgem"}, {"vgem", "It has no screen"}},
        {{"--present", "kms:bochs-drm", "--heap", "memfd"}, {"no dma-buf", "system_cc_shared"}},
        {{"--present", "kms:bochs-drm", "--size", "64x64"}, {"no mode", "640x480"}},
        {{"--present", "kms:radeon"}, {"there is no screen 'radeon'", "(bochs-drm)", "(vkms)"}},
    };
    for (const Refused& refused : all) {
        std::vector<std::string> arguments{"bench", "--scene", "none", "--gpu", "none", "--quiet"};
        arguments.insert(arguments.end(), refused.arguments.begin(), refused.arguments.end());
        const Finished done = clearframe::test::run({.arguments = std::move(arguments)});
        EXPECT_EQ(done.status, 3) << done.describe();
        for (const std::string& text : refused.says)
            EXPECT_THAT(done.err, HasSubstr(text));
    }
}

// Whatever showing a frame ends with ends the run, and comes out.
TEST_F(PresentTest, WhatGoesWrongEndsTheRun) {
    Stream stream(meter_);
    Presenter presenter(
        clearframe::Screen::open("vkms", 640, 480), stream.session().layout(), stream.frames(),
        [&] { stream.session().stop(); },
        [](std::size_t, std::uint64_t) {
            throw Error(Failure::run, "the screen has gone", {}, {});
        });
    stream.run_block(0, 1000, presenter.tap_for(0));
    EXPECT_TRUE(stream.session().stopped());
    EXPECT_EQ(stream.bad(), 0u);
    EXPECT_THROW(presenter.finish(), Error);
}

} // namespace
} // namespace clearframe::guest
