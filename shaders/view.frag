#version 460
// A received frame, as large as a person sees it: a whole multiple of its pixels, or the average of
// those that a pixel of the view covers, of at most 4x4 spread evenly over them.

layout(std430, set = 0, binding = 0) readonly buffer Frame { uint words[]; };
layout(push_constant) uniform View {
    uint first;  // the word of the frame's first pixel
    uint stride; // words from one row to the next
    uvec2 frame; // pixels
    uvec2 start; // where in the view the frame's picture starts …
    uvec2 size;  // … and how large it is there, in pixels
};

layout(location = 0) out vec4 colour;

const uint most_taps = 4;

void main() {
    const uvec2 at = uvec2(gl_FragCoord.xy) - start;
    const uvec2 begin = at * frame / size;
    const uvec2 end = max((at + 1) * frame / size, begin + 1);
    const uvec2 taps = min(end - begin, uvec2(most_taps));
    uvec3 sum = uvec3(0);
    for (uint j = 0; j < taps.y; ++j) {
        const uint row = first + (begin.y + (2 * j + 1) * (end.y - begin.y) / (2 * taps.y)) * stride;
        for (uint i = 0; i < taps.x; ++i) {
            const uint pixel = words[row + begin.x + (2 * i + 1) * (end.x - begin.x) / (2 * taps.x)];
            sum += uvec3(pixel >> 16 & 0xff, pixel >> 8 & 0xff, pixel & 0xff);
        }
    }
    const uint count = taps.x * taps.y;
    colour = vec4(vec3((sum + count / 2) / count) / 255, 1);
}
