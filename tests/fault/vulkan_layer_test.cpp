#include "support/files.h"
#include "support/process.h"
#include "support/program.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace clearframe::test {
namespace {

Finished run_probe(std::map<std::string, std::optional<std::string>> environment) {
    environment["VK_ADD_LAYER_PATH"] = fault_layer_directory();
    environment["VK_INSTANCE_LAYERS"] = fault_layer_name();
    return run({.environment = environment, .program = CLEARFRAME_VULKAN_PROBE});
}

const std::string good_round = "vkCreateInstance 0\ndma_buf yes\nvkCreateDevice 0\n"
                               "vkAllocateMemory 0\nvkAllocateMemory 0\nvkAllocateMemory 0\n"
                               "vkQueueSubmit 0\n";

class FaultLayer : public ::testing::Test {
protected:
    void SetUp() override {
        const Finished plain = run({.program = CLEARFRAME_VULKAN_PROBE});
        if (plain.out != good_round + good_round)
            GTEST_SKIP() << "no Vulkan device with dma-buf import here";
    }
};

TEST_F(FaultLayer, ChangesNothingUnasked) {
    const Finished finished = run_probe({});
    EXPECT_EQ(finished.status, 0) << finished.describe();
    EXPECT_EQ(finished.out, good_round + good_round);
}

TEST_F(FaultLayer, HidesExtensions) {
    const std::string round = "vkCreateInstance 0\ndma_buf no\nvkCreateDevice -7\n";
    EXPECT_EQ(run_probe({{"CLEARFRAME_HIDE", "VK_X,VK_EXT_external_memory_dma_buf"}}).out,
              round + round);
    EXPECT_EQ(run_probe({{"CLEARFRAME_HIDE", "VK_EXT_external_memory"}}).out,
              good_round + good_round);
}

TEST_F(FaultLayer, FailsTheNthCommandOfTheWholeProcess) {
    std::string out = good_round + good_round;
    const std::size_t fifth = out.rfind("vkAllocateMemory 0", out.rfind("vkAllocateMemory 0") - 1);
    out.replace(fifth, 18, "vkAllocateMemory -2");
    EXPECT_EQ(
        run_probe({{"CLEARFRAME_VK_FAIL", "vkAllocateMemory:5:VK_ERROR_OUT_OF_DEVICE_MEMORY"}}).out,
        out);
}

TEST_F(FaultLayer, FailsCommandsOfQueuesDevicesAndInstances) {
    std::string out = good_round + good_round;
    out.replace(out.find("vkQueueSubmit 0"), 15, "vkQueueSubmit -4");
    EXPECT_EQ(run_probe({{"CLEARFRAME_VK_FAIL", "vkQueueSubmit:1:VK_ERROR_DEVICE_LOST"}}).out, out);

    EXPECT_EQ(
        run_probe({{"CLEARFRAME_VK_FAIL", "vkCreateDevice:1+:VK_ERROR_INITIALIZATION_FAILED"}}).out,
        "vkCreateInstance 0\ndma_buf yes\nvkCreateDevice -3\n"
        "vkCreateInstance 0\ndma_buf yes\nvkCreateDevice -3\n");
    EXPECT_EQ(
        run_probe({{"CLEARFRAME_VK_FAIL", "vkCreateInstance:1:VK_ERROR_INCOMPATIBLE_DRIVER"}}).out,
        "vkCreateInstance -9\n");
}

TEST_F(FaultLayer, CountsCommandsAndFailures) {
    const TemporaryDirectory directory;
    run_probe({{"CLEARFRAME_VK_FAIL", "vkAllocateMemory:1:VK_ERROR_OUT_OF_DEVICE_MEMORY"},
               {"CLEARFRAME_VK_COUNT", directory / "count"}});
    std::ifstream file(directory / "count");
    EXPECT_EQ(std::string(std::istreambuf_iterator(file), {}),
              "vkCreateInstance 2 0\nvkCreateDevice 2 0\n"
              "vkAllocateMemory 6 1\nvkQueueSubmit 2 0\n");
}

TEST_F(FaultLayer, APlanThatMakesNoSenseEndsTheProgram) {
    EXPECT_EQ(run_probe({{"CLEARFRAME_VK_FAIL", "vkFly:1:VK_ERROR_DEVICE_LOST"}}).status, 99);
}

} // namespace
} // namespace clearframe::test
