#version 460
#extension GL_GOOGLE_include_directive : require
// The picture, written into a buffer over the slot's pixels.
#include "frame.glsl"

layout(local_size_x = 16, local_size_y = 16) in;
layout(std430, set = 0, binding = 1) writeonly buffer Pixels { uint pixels[]; };

void main() {
    uint x = gl_GlobalInvocationID.x;
    uint y = gl_GlobalInvocationID.y;
    if (x < frame.width && y < frame.height)
        pixels[y * (frame.stride >> 2) + x] = cf_pixel(frame, scene, x, y);
}
