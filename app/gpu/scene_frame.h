// The constants of a frame that shaders/scene.glsl draws from; for the GPU and the CPU alike.
#pragma once

#include "shaders/scene.glsl"
#include "wire/frame.h"

namespace clearframe {

// Pure. The stride stays 0 and the time too: the picture does not depend on them.
glsl::CfFrame make_scene_frame(Scene scene, std::uint32_t seed, std::uint64_t sequence,
                               std::uint32_t width, std::uint32_t height);

} // namespace clearframe
