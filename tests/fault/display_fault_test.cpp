// Every Vulkan command that the display is made of is made to fail in turn: it ends with one clear
// line, or goes on and shows what it should.
#include "fault/counts.h"
#include "support/files.h"
#include "support/process.h"
#include "support/program.h"
#include "support/x_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace clearframe::test {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

using Environment = std::map<std::string, std::optional<std::string>>;

constexpr const char* good_line = "4 frames of 1280x720, imported as dma-buf\n";

// What a command of this name may give when it fails.
std::string result_of(const std::string& command) {
    if (command == "vkCreateInstance")
        return "VK_ERROR_INCOMPATIBLE_DRIVER";
    if (command.starts_with("vkQueue") || command.starts_with("vkWait") ||
        command.starts_with("vkAcquire"))
        return "VK_ERROR_DEVICE_LOST";
    return "VK_ERROR_OUT_OF_DEVICE_MEMORY";
}

class DisplayFault : public ::testing::Test {
protected:
    explicit DisplayFault(std::string how) : how_(std::move(how)) {}

    Finished run_with(const std::string& fault, const std::string& count_file = {}) const {
        Environment environment = environment_;
        environment["VK_ADD_LAYER_PATH"] = fault_layer_directory();
        environment["VK_INSTANCE_LAYERS"] = fault_layer_name();
        environment["CLEARFRAME_VK_FAIL"] = fault;
        environment["CLEARFRAME_VK_COUNT"] = count_file;
        return run({.arguments = {how_},
                    .environment = environment,
                    .time_limit = std::chrono::seconds(60),
                    .program = CLEARFRAME_DISPLAY_PROBE});
    }

    // Of the commands that `is_chosen` takes.
    void fail_each_in_turn(bool (*is_chosen)(const std::string&)) const {
        const TemporaryDirectory counted;
        const Finished good = run_with("", counted / "count");
        if (good.status == 3)
            GTEST_SKIP() << "no Vulkan device here: " << good.err;
        ASSERT_EQ(good.out, good_line) << good.describe();
        int tried = 0;
        for (const auto& [command, number] : counts(counted / "count")) {
            if (!is_chosen(command))
                continue;
            const std::string result = result_of(command);
            // The last ones of many are those of a frame, as the first ones of frames are.
            for (int n = 1; n <= number; n += n < 8 ? 1 : 5, ++tried) {
                const std::string fault = command + ":" + std::to_string(n) + ":" + result;
                SCOPED_TRACE(fault);
                const Finished done = run_with(fault);
                if (done.status == 0) {
                    EXPECT_THAT(done.out, HasSubstr("4 frames of 1280x720")) << done.describe();
                } else {
                    EXPECT_THAT(done.status, AnyOf(1, 3)) << done.describe();
                    EXPECT_THAT(done.err, HasSubstr(result)) << done.describe();
                    EXPECT_EQ(std::count(done.err.begin(), done.err.end(), '\n'), 1)
                        << done.describe();
                }
            }
        }
        EXPECT_GT(tried, 15);
    }

    std::string how_;
    Environment environment_;
};

class OffscreenFault : public DisplayFault {
protected:
    OffscreenFault() : DisplayFault("offscreen") {}
};

TEST_F(OffscreenFault, EveryCommandInTurn) {
    fail_each_in_turn([](const std::string&) { return true; });
}

class WindowFault : public DisplayFault {
protected:
    WindowFault() : DisplayFault("window") {}
    void SetUp() override {
        if (!XServer::is_installed())
            GTEST_SKIP() << "Xvfb is not installed";
        server_.emplace(1400, 800);
        environment_ = {{"DISPLAY", server_->display()}, {"WAYLAND_DISPLAY", std::nullopt}};
    }
    std::optional<XServer> server_;
};

TEST_F(WindowFault, EveryCommandOfAWindowInTurn) {
    fail_each_in_turn([](const std::string& command) {
        return command.ends_with("KHR") || command == "vkCreateSemaphore" ||
               command == "vkQueueSubmit2" || command == "vkWaitForFences";
    });
}

TEST_F(WindowFault, AWindowThatHasChangedIsShownAgain) {
    for (const char* fault :
         {"vkAcquireNextImageKHR:2:VK_ERROR_OUT_OF_DATE_KHR",
          "vkQueuePresentKHR:2:VK_ERROR_OUT_OF_DATE_KHR", "vkQueuePresentKHR:2:VK_SUBOPTIMAL_KHR",
          "vkAcquireNextImageKHR:2:VK_TIMEOUT", "vkAcquireNextImageKHR:1+:VK_NOT_READY"}) {
        const Finished done = run_with(fault);
        EXPECT_EQ(done.status, 0) << fault << done.describe();
        EXPECT_EQ(done.out, good_line) << fault << done.describe();
    }
}

TEST_F(WindowFault, AWindowThatIsGoneEndsIt) {
    for (const char* fault : {"vkAcquireNextImageKHR:2:VK_ERROR_SURFACE_LOST_KHR",
                              "vkQueuePresentKHR:2:VK_ERROR_SURFACE_LOST_KHR"}) {
        const Finished done = run_with(fault);
        EXPECT_EQ(done.status, 0) << fault << done.describe();
        EXPECT_THAT(done.out, HasSubstr("2 frames of 1280x720")) << fault << done.describe();
    }
}

} // namespace
} // namespace clearframe::test
