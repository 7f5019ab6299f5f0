#version 460
#extension GL_GOOGLE_include_directive : require
// The picture, rendered into a BGRA8 image over the slot's pixels.
#include "frame.glsl"

layout(location = 0) out vec4 colour;

void main() {
    uint pixel = cf_pixel(frame, scene, uint(gl_FragCoord.x), uint(gl_FragCoord.y));
    colour = unpackUnorm4x8(pixel).zyxw;
}
