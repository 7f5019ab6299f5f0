#include "gpu/vulkan.h"

#include <fmt/format.h>

#include <cctype>

namespace clearframe {

std::string vk_result_text(vk::Result result) {
    // Vulkan-Hpp says "ErrorDeviceLost"; the specification, and everything one can search, says
    // VK_ERROR_DEVICE_LOST.
    std::string text = "VK";
    char previous = 'a';
    for (const char c : vk::to_string(result)) {
        if (std::isupper(static_cast<unsigned char>(c)) &&
            std::islower(static_cast<unsigned char>(previous)))
            text += '_';
        text += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        previous = c;
    }
    return fmt::format("{} ({})", text, static_cast<int>(result));
}

void throw_vulkan(const vk::SystemError& error, std::string_view what, std::string_view advice,
                  Failure failure) {
    throw Error(failure, what, vk_result_text(static_cast<vk::Result>(error.code().value())),
                advice);
}

} // namespace clearframe
