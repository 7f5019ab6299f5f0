// Scenes as the CPU knows them: what every pixel of every frame must be. The GPU draws the same
// functions (shaders/scene.glsl is compiled as GLSL and as C++), so a received frame can be held
// against them to the last bit. No Vulkan here.
#pragma once

#include "wire/frame.h"

#include <cstdint>
#include <span>

namespace clearframe {

// The pixel at (x, y) of frame `sequence`, as BGRA8 (blue in the lowest byte). Integer arithmetic
// throughout: the same on every machine. Scene::none is the fill that its slots keep: `sequence`
// is then 0. Pure, thread-safe.
std::uint32_t scene_pixel(Scene scene, std::uint32_t seed, std::uint64_t sequence,
                          std::uint32_t width, std::uint32_t height, std::uint32_t x,
                          std::uint32_t y);

// Several pixels of one frame at once, for less than each on its own: pixels[i] is that at
// points[i]. Both spans have the same size.
struct Point {
    std::uint32_t x = 0;
    std::uint32_t y = 0;
};
void scene_pixels(Scene scene, std::uint32_t seed, std::uint64_t sequence, std::uint32_t width,
                  std::uint32_t height, std::span<const Point> points,
                  std::span<std::uint32_t> pixels);

// A whole row at once, faster than pixel by pixel. row.size() is the width.
void scene_row(Scene scene, std::uint32_t seed, std::uint64_t sequence, std::uint32_t height,
               std::uint32_t y, std::span<std::uint32_t> row);

} // namespace clearframe
