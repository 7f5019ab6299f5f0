// The scenes: what every pixel of every frame is. Compiled as GLSL by the shaders and as C++ by
// app/gpu/scene.cpp, so that GPU and CPU agree to the bit: integers only, no division, unsigned
// arithmetic wherever a product may wrap. A new scene gets a number in wire/frame.h, a function
// here and a line in cf_pixel().
#ifdef __cplusplus
#include <algorithm>
#include <cstdint>
#include <cstdlib>
namespace clearframe::glsl {
using std::abs;
using std::max;
using std::min;
using uint = std::uint32_t;
inline int clamp(int v, int low, int high) { return min(max(v, low), high); }
#define CF_FUNCTION [[gnu::always_inline]] inline
#define CF_FRAME const CfFrame&
#define CF_TABLE inline constexpr
#else
#define CF_FUNCTION
#define CF_FRAME const CfFrame
#define CF_TABLE const
#endif

// As in wire/frame.h.
const uint CF_MAGIC = 0x52464c43u;
const uint CF_VERSION = 1u;
const uint CF_FORMAT_BGRA8 = 0x34325241u;
const uint CF_SCENE_NONE = 0u;
const uint CF_SCENE_WAVES = 1u;
const uint CF_SCENE_TEST_CARD = 2u;
const uint CF_SCENE_NOISE = 3u;

// All that a frame's pixels and stamps follow from; made once a frame by make_scene_frame()
// (app/gpu/scene_frame.h). Scalars of 4 bytes, so that std140 and C++ lay it out alike.
struct CfFrame {
    uint sequence_low, sequence_high, time_low, time_high;
    uint width, height, stride, seed;
    uint key; // noise, none: a hash of seed and sequence

    uint slope_x, slope_y; // none: 1/65536 steps a pixel, up to 255 over the frame

    // waves: three plane waves, phase = x * per column + y * per row + at the origin; 2^32 a turn
    uint wave1_x, wave1_y, wave1;
    uint wave2_x, wave2_y, wave2;
    uint wave3_x, wave3_y, wave3;
    // waves: direction of the hand times 2^13; lengths in 1/256 pixel
    int hand_x, hand_y, hand_length, hand_half;
    // waves, test card: circles. `square` is of twice the radius; a difference of two squares, at
    // most `limit`, times `scale` is 2^15 times 1/256 pixel; `half` of a line's width
    int ring_square, ring_limit, ring_scale, ring_half;
    int hub_square, hub_limit, hub_scale;

    // test card: cells of `cell` pixels, counted from the centre; x / cell is x * inverse >> shift
    uint cell, cell_inverse, cell_shift, line;
    uint origin_x, origin_y; // added to a coordinate: makes the centre a multiple of `cell`
    int middle_x, middle_y;  // the cell that starts at the centre
    uint marker;             // how far the running marker is on its track, in pixels
    // test card: the number, in dots of `dot` pixels, five by seven a digit, and a column between
    uint text_x, text_y, text_width;
    uint dot, dot_gap, dot_inverse, dot_shift;
    uint digits_low, digits_middle, digits_high; // four bits a digit, the leftmost lowest
};

CF_FUNCTION uint cf_mix(uint h) {
    h ^= h >> 16;
    h *= 0x85ebca6bu;
    h ^= h >> 13;
    h *= 0xc2b2ae35u;
    return h ^ (h >> 16);
}

// frame_check() of wire/frame.h.
CF_FUNCTION uint cf_check(uint sequence_low, uint sequence_high, uint seed, uint scene, uint salt) {
    uint h = cf_mix(salt + 0x9e3779b9u);
    h = cf_mix(h ^ sequence_low);
    h = cf_mix(h ^ sequence_high);
    h = cf_mix(h ^ seed);
    return cf_mix(h ^ scene);
}

CF_FUNCTION uint cf_colour(int red, int green, int blue) {
    return 0xff000000u | (uint(red) << 16) | (uint(green) << 8) | uint(blue);
}

// The sine of `phase` (2^32 a turn) times 2^14: a parabola, and a second one that bends it to
// within 0.1 %.
CF_FUNCTION int cf_sine(uint phase) {
    int a = int(phase) >> 17;
    int s = (a * (16384 - abs(a))) >> 12;
    return (s * (12698 + ((3686 * abs(s)) >> 14))) >> 14;
}

// a towards b by part/256.
CF_FUNCTION int cf_blend(int a, int b, int part) { return a + (((b - a) * part) >> 8); }

// How much of a pixel lies inside an edge, `distance` 1/256 pixels away: 0 … 256.
CF_FUNCTION int cf_cover(int distance) { return clamp(distance + 128, 0, 256); }

// From a difference of squares to the distance from a circle. Only what is near it counts: the rest
// is cut off before it could overflow.
CF_FUNCTION int cf_edge(int difference, int limit, int scale) {
    return (clamp(difference, -limit, limit) * scale) >> 15;
}

CF_FUNCTION uint cf_waves(CF_FRAME f, uint x, uint y) {
    // Each wave bends the next one.
    int s1 = cf_sine(x * f.wave1_x + y * f.wave1_y + f.wave1);
    int s2 = cf_sine(x * f.wave2_x + y * f.wave2_y + f.wave2 + (uint(s1) << 15));
    int s3 = cf_sine(x * f.wave3_x + y * f.wave3_y + f.wave3 + (uint(s2) << 14));

    // From deep blue over teal to green, with light where two waves meet.
    int t = 2048 + (((s1 + s2 + s3) * 85) >> 11);
    int meet = (s3 - s1) >> 4;
    int light = max(1024 - ((meet * meet) >> 8), 0);
    light = (((light * light) >> 10) * t) >> 12;
    int t2 = (t * t) >> 12;
    int t3 = (t2 * t) >> 12;
    int dither = int((x * 0xc13fa9a9u + y * 0x91e10da5u) >> 20);
    int red = ((6 << 12) + 10 * t + 70 * t3 + 100 * light + dither) >> 12;
    int green = ((14 << 12) + 60 * t + 260 * t2 - 130 * t3 + 170 * light + dither) >> 12;
    int blue = ((48 << 12) + 230 * t - 50 * t2 - 110 * t3 + 130 * light + dither) >> 12;

    // A darker disc, a white ring and a hand on it.
    int dx = int(x + x + 1u - f.width);
    int dy = int(y + y + 1u - f.height);
    int rim = cf_edge(dx * dx + dy * dy - f.ring_square, f.ring_limit, f.ring_scale);
    int ring = cf_cover(f.ring_half - abs(rim));
    int hub = cf_cover(cf_edge(f.hub_square - dx * dx - dy * dy, f.hub_limit, f.hub_scale));
    int along = (dx * f.hand_x + dy * f.hand_y) >> 6;
    int across = abs(dx * f.hand_y - dy * f.hand_x) >> 6;
    int hand = cf_cover(min(f.hand_half - across, min(along, f.hand_length - along)));
    int white = max(max(ring, hub), hand);
    int shade = (cf_cover(-rim) * 90) >> 8;
    red = cf_blend(cf_blend(red, 4, shade), 255, white);
    green = cf_blend(cf_blend(green, 12, shade), 255, white);
    blue = cf_blend(cf_blend(blue, 30, shade), 255, white);
    return cf_colour(red, green, blue);
}

// The digits 0 to 9, five by seven dots, five bits a row, the leftmost dot highest: for each digit
// its upper four rows and its lower three.
CF_TABLE uint cf_glyphs[20] = {
    0x74631u, 0x462eu, 0x23084u, 0x108eu, 0x74422u, 0x111fu, 0xf8882u, 0x062eu,
    0x11952u, 0x7c42u, 0xfc3c1u, 0x062eu, 0x3221eu, 0x462eu, 0xf8444u, 0x2108u,
    0x7462eu, 0x462eu, 0x7462fu, 0x044cu};

// Whether the frame number has a lit dot at (x, y).
CF_FUNCTION bool cf_number(CF_FRAME f, uint x, uint y) {
    uint text_x = x - f.text_x;
    uint text_y = y - f.text_y;
    if (text_x >= f.text_width || text_y >= 7u * f.dot)
        return false;
    uint column = (text_x * f.dot_inverse) >> f.dot_shift;
    uint row = (text_y * f.dot_inverse) >> f.dot_shift;
    uint digit = (column * 43u) >> 8; // column / 6
    uint word = digit < 8u ? f.digits_low : digit < 16u ? f.digits_middle : f.digits_high;
    uint glyph = ((word >> ((digit & 7u) * 4u)) & 15u) * 2u;
    uint bits = row < 4u ? cf_glyphs[glyph] >> (15u - row * 5u)
                         : cf_glyphs[glyph + 1u] >> (30u - row * 5u);
    uint place = column - digit * 6u;
    bool gap = text_x - column * f.dot < f.dot_gap || text_y - row * f.dot < f.dot_gap;
    return place < 5u && !gap && ((bits >> (4u - place)) & 1u) != 0u;
}

CF_FUNCTION uint cf_test_card(CF_FRAME f, uint x, uint y) {
    uint grid_x = x + f.origin_x;
    uint grid_y = y + f.origin_y;
    uint cell_x = (grid_x * f.cell_inverse) >> f.cell_shift;
    uint cell_y = (grid_y * f.cell_inverse) >> f.cell_shift;
    uint in_x = grid_x - cell_x * f.cell;
    uint in_y = grid_y - cell_y * f.cell;
    int column = int(cell_x) - f.middle_x; // 0 is right of the centre, -1 left of it
    int row = int(cell_y) - f.middle_y;

    bool line = min(in_x, f.cell - 1u - in_x) < f.line || min(in_y, f.cell - 1u - in_y) < f.line;
    uint colour = line ? 0xff68717du : 0xff262b33u;

    int dx = int(x + x + 1u - f.width);
    int dy = int(y + y + 1u - f.height);
    int rim = cf_edge(dx * dx + dy * dy - f.ring_square, f.ring_limit, f.ring_scale);
    int ring = cf_cover(f.ring_half - abs(rim));
    colour = cf_colour(cf_blend(int(colour >> 16) & 255, 255, ring),
                       cf_blend(int(colour >> 8) & 255, 255, ring),
                       cf_blend(int(colour) & 255, 255, ring));

    if (column >= -8 && column < 8) {
        uint from_left = grid_x - uint(f.middle_x - 8) * f.cell;
        if (row >= -6 && row < -2) {
            // White, yellow, cyan, green, magenta, red, blue, black: at 75 %, and full below.
            uint bar = 7u - (uint(column + 8) >> 1);
            uint level = row == -3 ? 0xffffffffu : 0xffbfbfbfu;
            uint mask = ((bar & 4u) != 0u ? 0xff00u : 0u) | ((bar & 2u) != 0u ? 0xff0000u : 0u) |
                        ((bar & 1u) != 0u ? 0xffu : 0u);
            colour = level & (mask | 0xff000000u);
        } else if (row >= -2 && row < 2) {
            colour = cf_number(f, x, y) ? 0xffffffffu : 0xff0a0c10u;
        } else if (row == 2) {
            bool marker = from_left - f.marker < f.cell && in_y - f.cell / 4u < f.cell / 2u;
            colour = marker ? 0xff2fb5a8u : 0xff14171cu;
        } else if (row >= 3 && row < 6) {
            uint steps = uint(column + 8) * 17u;
            uint smooth_ramp = (from_left * f.cell_inverse) >> (f.cell_shift - 4u);
            colour = 0xff000000u | (row == 5 ? smooth_ramp : steps) * 0x10101u;
        }
    }
    // Stripes of one pixel and of two, upright on the left and level on the right.
    if (row >= -2 && row < 2 && (column == -11 || column == -10 || column == 9 || column == 10)) {
        uint across = column < 0 ? x : y;
        colour = ((row < 0 ? across : across >> 1) & 1u) != 0u ? 0xffffffffu : 0xff000000u;
    }

    // The frame's edge, and its corners: red, green, blue and yellow.
    uint edge_x = min(x, f.width - 1u - x);
    uint edge_y = min(y, f.height - 1u - y);
    if (min(edge_x, edge_y) < f.cell / 2u)
        colour = ((column + row) & 1) != 0 ? 0xffffffffu : 0xff000000u;
    if (max(edge_x, edge_y) < f.cell)
        colour = y < f.cell ? (x < f.cell ? 0xffe0483cu : 0xff3cb45au)
                            : (x < f.cell ? 0xff3c78e0u : 0xfff0c83cu);
    return colour;
}

CF_FUNCTION uint cf_noise(CF_FRAME f, uint x, uint y) {
    return 0xff000000u | cf_mix((x + y * f.width) * 0x9e3779b1u + f.key);
}

// A calm slope, tinted by the seed, under a grain that makes every place differ.
CF_FUNCTION uint cf_still(CF_FRAME f, uint x, uint y) {
    uint slope = (x * f.slope_x + y * f.slope_y) >> 16;
    uint red = 8u + (f.key & 31u);
    uint green = 16u + ((f.key >> 8) & 31u) + (slope >> 1);
    uint blue = 48u + ((f.key >> 16) & 31u) + (slope >> 1);
    return (0xff000000u | (red << 16) | (green << 8) | blue) + (cf_noise(f, x, y) & 0x0f0f0fu);
}

CF_FUNCTION uint cf_pixel(CF_FRAME f, uint scene, uint x, uint y) {
    if (scene == CF_SCENE_WAVES)
        return cf_waves(f, x, y);
    if (scene == CF_SCENE_TEST_CARD)
        return cf_test_card(f, x, y);
    if (scene == CF_SCENE_NOISE)
        return cf_noise(f, x, y);
    return cf_still(f, x, y);
}

#ifdef __cplusplus
} // namespace clearframe::glsl
#endif
