// What every shader is given: the frame's constants, and the scene, fixed when the pipeline is made.
#include "scene.glsl"

layout(constant_id = 0) const uint scene = 0u;
layout(std140, set = 0, binding = 0) uniform Parameters { CfFrame frame; };
