// Why a heap's device node cannot be opened, and what would change that.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace clearframe {

// For a heap of /dev/dma_heap by that name, or "udmabuf". `error` is the errno of opening `node`.
std::string heap_refusal(std::string_view heap, const std::filesystem::path& node, int error,
                         const std::filesystem::path& root);

} // namespace clearframe
