// A picture in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace clearframe {

// Rows of RGBA8, opaque, without padding.
struct Picture {
    std::uint32_t width = 0, height = 0;
    std::vector<std::byte> rgba;
};

} // namespace clearframe
