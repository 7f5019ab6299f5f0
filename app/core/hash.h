// Mixing bits.
#pragma once

#include <cstdint>

namespace clearframe {

// The 32-bit finaliser of MurmurHash3 (Austin Appleby, public domain): every bit of `h` reaches
// every bit of the result. cf_mix() in shaders/scene.glsl is the same function.
constexpr std::uint32_t mix32(std::uint32_t h) {
    h ^= h >> 16;
    h *= 0x85ebca6bu;
    h ^= h >> 13;
    h *= 0xc2b2ae35u;
    return h ^ h >> 16;
}

} // namespace clearframe
