// Where the build has put the programs that tests run and preload.
#pragma once

#include <filesystem>
#include <string>

namespace clearframe::test {

std::filesystem::path clearframe_program();    // $CLEARFRAME_PROGRAM, or the one of this build
std::filesystem::path failing_calls_library(); // tests/fault/failing_calls.cpp

// tests/fault/vulkan_layer.cpp: its folder for VK_ADD_LAYER_PATH, its name for VK_INSTANCE_LAYERS.
std::filesystem::path fault_layer_directory();
std::string fault_layer_name();

} // namespace clearframe::test
