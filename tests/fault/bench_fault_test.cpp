// Every system call and every Vulkan command of a run that can fail is made to fail in turn: the
// program ends by itself with one clear line and the right status, and leaves no half-written file.
#include "fault/clean_end.h"
#include "fault/counts.h"
#include "support/files.h"
#include "support/process.h"
#include "support/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace clearframe::test {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using Environment = std::map<std::string, std::optional<std::string>>;

std::vector<std::string> tiny(const std::string& scene, const std::filesystem::path& result) {
    return {"bench", "--size",   "64x64",     "--frames", "6",      "--block",
            "3",     "--warmup", "2",         "--ring",   "2",      "--scene",
            scene,   "--quiet",  "--timeout", "1",        "--json", result};
}

class FailingCall : public ::testing::TestWithParam<CallError> {};

TEST_P(FailingCall, EndsTheRunCleanlyWhicheverItIs) {
    const auto run_with = [](const std::filesystem::path& directory, Environment environment) {
        return run({.arguments = tiny("none", directory / "result.json"),
                    .environment = std::move(environment),
                    .preload = {failing_calls_library()},
                    .time_limit = std::chrono::seconds(30)});
    };
    const TemporaryDirectory counted;
    const TemporaryDirectory first;
    const auto count_file = counted / "count";
    const Finished good =
        run_with(first.path(), {{"CLEARFRAME_COUNT", count_file}, {"CLEARFRAME_FAIL", ""}});
    ASSERT_EQ(good.status, 0) << good.describe();

    int tried = 0;
    for (const auto& [call, number] : counts(count_file)) {
        if (call != GetParam().call)
            continue;
        for (int n = 1; n <= number; ++n, ++tried) {
            SCOPED_TRACE(call + " number " + std::to_string(n));
            const TemporaryDirectory directory;
            const Finished done = run_with(
                directory.path(),
                {{"CLEARFRAME_FAIL", call + ":" + std::to_string(n) + ":" + GetParam().error}});
            expect_clean_end(done, directory.path(), GetParam().error);
        }
    }
    EXPECT_GT(tried, 0) << "the program makes no such call any more: take it off the list";
}

INSTANTIATE_TEST_SUITE_P(
    Each, FailingCall,
    ::testing::Values(CallError{"memfd_create", "EMFILE"}, CallError{"fallocate", "ENOSPC"},
                      CallError{"mmap", "ENOMEM"}, CallError{"fcntl", "EMFILE"},
                      CallError{"eventfd", "EMFILE"}, CallError{"pthread_create", "EAGAIN"},
                      CallError{"open", "EMFILE"}, CallError{"write", "ENOSPC"},
                      CallError{"fsync", "EIO"}, CallError{"rename", "EXDEV"}),
    [](const auto& call) { return std::string(call.param.call); });

class FailingVulkan : public ::testing::Test {
protected:
    static Finished run_with(const std::filesystem::path& directory, Environment environment) {
        environment["VK_ADD_LAYER_PATH"] = fault_layer_directory();
        environment["VK_INSTANCE_LAYERS"] = fault_layer_name();
        return run({.arguments = tiny("waves", directory / "result.json"),
                    .environment = std::move(environment),
                    .time_limit = std::chrono::seconds(60)});
    }

    void SetUp() override {
        good_ = run_with(first_.path(), {{"CLEARFRAME_VK_COUNT", counted_ / "count"}});
        if (good_.status != 0)
            GTEST_SKIP() << "no Vulkan device here: " << good_.err;
    }

    // Makes each call of `command` fail in turn; a run makes `at_most` of them.
    void fail_each(const std::string& command, const std::string& result, int at_most = 1000) {
        int tried = 0;
        for (const auto& [name, number] : counts(counted_ / "count")) {
            if (name != command)
                continue;
            EXPECT_LE(number, at_most);
            for (int n = 1; n <= number; ++n, ++tried) {
                SCOPED_TRACE(name + " number " + std::to_string(n));
                const TemporaryDirectory directory;
                const Finished done = run_with(
                    directory.path(),
                    {{"CLEARFRAME_VK_FAIL", name + ":" + std::to_string(n) + ":" + result}});
                expect_clean_end(done, directory.path(), result);
            }
        }
        EXPECT_GT(tried, 0) << "the program makes no such call any more: take it off the list";
    }

    TemporaryDirectory first_;
    TemporaryDirectory counted_;
    Finished good_;
};

TEST_F(FailingVulkan, CreateInstance) {
    fail_each("vkCreateInstance", "VK_ERROR_INCOMPATIBLE_DRIVER");
}
TEST_F(FailingVulkan, CreateDevice) {
    fail_each("vkCreateDevice", "VK_ERROR_INITIALIZATION_FAILED");
}
TEST_F(FailingVulkan, CreateImage) { fail_each("vkCreateImage", "VK_ERROR_OUT_OF_DEVICE_MEMORY"); }
TEST_F(FailingVulkan, AllocateMemory) {
    fail_each("vkAllocateMemory", "VK_ERROR_OUT_OF_DEVICE_MEMORY");
}
TEST_F(FailingVulkan, DeviceLostAtAnySubmit) {
    fail_each("vkQueueSubmit2", "VK_ERROR_DEVICE_LOST");
}

TEST_F(FailingVulkan, DeviceLostWhileWaiting) {
    // How often a fence is asked for depends on timing: the first waits are those of any run.
    for (const int n : {1, 2, 3}) {
        const TemporaryDirectory directory;
        const Finished done = run_with(
            directory.path(), {{"CLEARFRAME_VK_FAIL",
                                "vkWaitForFences:" + std::to_string(n) + ":VK_ERROR_DEVICE_LOST"}});
        expect_clean_end(done, directory.path(), "VK_ERROR_DEVICE_LOST");
        EXPECT_EQ(done.status, 1) << done.describe();
    }
}

TEST_F(FailingVulkan, ADeviceWithoutDmaBufImportIsLabelled) {
    const TemporaryDirectory directory;
    const Finished done =
        run_with(directory.path(), {{"CLEARFRAME_HIDE", "VK_EXT_external_memory_dma_buf"}});
    ASSERT_EQ(done.status, 0) << done.describe();
    std::ifstream in(directory / "result.json");
    const nlohmann::json record = nlohmann::json::parse(in);
    EXPECT_THAT(record["parts"][1].dump(), HasSubstr("VK_EXT_external_memory_host"));
    EXPECT_EQ(record["parts"][1]["emulated"], true);
}

TEST_F(FailingVulkan, NoDriverIsLoadedWhereNoneIsAskedFor) {
    const TemporaryDirectory directory;
    Command command{.arguments = tiny("none", directory / "result.json"),
                    .environment = {{"VK_ADD_LAYER_PATH", fault_layer_directory()},
                                    {"VK_INSTANCE_LAYERS", fault_layer_name()},
                                    {"CLEARFRAME_VK_COUNT", directory / "count"}}};
    ASSERT_EQ(run(command).status, 0);
    ASSERT_TRUE(exists(directory / "count"));
    std::filesystem::remove(directory / "count");
    command.arguments.insert(command.arguments.end(), {"--gpu", "none"});
    ASSERT_EQ(run(command).status, 0);
    EXPECT_FALSE(exists(directory / "count"));
}

TEST_F(FailingVulkan, ADeviceWithoutAnyImportIsRefusedByName) {
    const TemporaryDirectory directory;
    const Finished done = run_with(
        directory.path(),
        {{"CLEARFRAME_HIDE", "VK_EXT_external_memory_dma_buf,VK_EXT_external_memory_host"}});
    EXPECT_EQ(done.status, 3) << done.describe();
    EXPECT_THAT(done.err, HasSubstr("VK_EXT_external_memory_dma_buf"));
}

} // namespace
} // namespace clearframe::test
