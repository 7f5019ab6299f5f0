#version 460
#extension GL_GOOGLE_include_directive : require
// The stamps at a frame's ends: FrameHeader and FrameTrailer of wire/frame.h.
#include "frame.glsl"

layout(local_size_x = 1) in;
layout(std430, set = 0, binding = 1) writeonly buffer Stamp { uint words[]; };
layout(push_constant) uniform Push {
    uint trailer; // 0: the header, 1: the trailer
    uint at;      // its first word
};

void main() {
    uint check = cf_check(frame.sequence_low, frame.sequence_high, frame.seed, scene, trailer);
    if (trailer != 0u) {
        words[at] = frame.sequence_low;
        words[at + 1u] = frame.sequence_high;
        words[at + 2u] = check;
        words[at + 3u] = CF_MAGIC;
        return;
    }
    words[at] = CF_MAGIC;
    words[at + 1u] = CF_VERSION;
    words[at + 2u] = frame.sequence_low;
    words[at + 3u] = frame.sequence_high;
    words[at + 4u] = frame.time_low;
    words[at + 5u] = frame.time_high;
    words[at + 6u] = frame.width;
    words[at + 7u] = frame.height;
    words[at + 8u] = frame.stride;
    words[at + 9u] = CF_FORMAT_BGRA8;
    words[at + 10u] = scene;
    words[at + 11u] = frame.seed;
    words[at + 12u] = check;
    words[at + 13u] = 0u;
    words[at + 14u] = 0u;
    words[at + 15u] = 0u;
}
