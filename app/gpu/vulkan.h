// Vulkan-Hpp, and its errors in this program's words. Include this, never vulkan_raii.hpp itself:
// the loader is opened at run time, so that a machine without Vulkan can start the program.
#pragma once

#define VK_NO_PROTOTYPES
#include "core/error.h"

#include <vulkan/vulkan_raii.hpp>

#include <string>
#include <string_view>

namespace clearframe {

inline constexpr vk::Format frame_format = vk::Format::eB8G8R8A8Unorm;

// "VK_ERROR_DEVICE_LOST (-4)".
std::string vk_result_text(vk::Result result);

// Throws an Error with the VkResult of `error` as its native code.
[[noreturn]] void throw_vulkan(const vk::SystemError& error, std::string_view what,
                               std::string_view advice = {}, Failure failure = Failure::run);

} // namespace clearframe
