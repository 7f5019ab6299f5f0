#version 460
// A received frame, as large as a person sees it: a whole multiple of its pixels, or the average of
// 4x4 taps spread evenly over those that a pixel of the view covers.

layout(std430, set = 0, binding = 0) readonly buffer Frame { uint words[]; };
layout(push_constant) uniform View {
    uint first;  // the word of the frame's first pixel
    uint stride; // words from one row to the next
    uvec2 frame; // pixels
    uvec2 start; // where in the view the frame's picture starts …
    uvec2 size;  // … and how large it is there, in pixels
};

layout(location = 0) out vec4 colour;

const uint taps = 4; // in each direction

// a / b, for a < 2^28 and a / b < 2^15. Where the CPU draws, dividing integers is slow.
uvec2 divide(uvec2 a, uvec2 b) {
    const uvec2 near = uvec2(vec2(a) / vec2(b)); // off by one at most
    const ivec2 rest = ivec2(a - near * b);
    return near - uvec2(lessThan(rest, ivec2(0))) + uvec2(greaterThanEqual(rest, ivec2(b)));
}

void main() {
    const uvec2 at = uvec2(gl_FragCoord.xy) - start;
    const uvec2 begin = divide(at * frame, size);
    const uvec2 pixels = max(divide((at + 1) * frame, size) - begin, 1);
    const uint corner = first + begin.y * stride + begin.x;
    if (all(greaterThanEqual(size, frame))) { // everywhere in the view
        colour = vec4(unpackUnorm4x8(words[corner]).zyx, 1);
        return;
    }
    uvec2 sum = uvec2(0); // red and blue, green: each in 16 bits
    for (uint j = 0; j < taps; ++j) {
        const uint row = corner + (2 * j + 1) * pixels.y / (2 * taps) * stride;
        for (uint i = 0; i < taps; ++i) {
            const uint pixel = words[row + (2 * i + 1) * pixels.x / (2 * taps)];
            sum += uvec2(pixel & 0xff00ff, pixel >> 8 & 0xff);
        }
    }
    const uint half_way = taps * taps / 2;
    const uvec3 mean = (uvec3(sum.x >> 16, sum.y, sum.x & 0xffff) + half_way) / (taps * taps);
    colour = vec4(vec3(mean) / 255, 1);
}
