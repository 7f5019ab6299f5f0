#include "gpu/scene.h"

#include "gpu/scene_frame.h"

#include <bit>

namespace clearframe {
namespace {

using glsl::CfFrame;

static_assert(glsl::CF_MAGIC == frame_magic);
static_assert(glsl::CF_VERSION == frame_version);
static_assert(glsl::CF_FORMAT_BGRA8 == format_bgra8);
static_assert(glsl::CF_SCENE_NONE == static_cast<std::uint32_t>(Scene::none));
static_assert(glsl::CF_SCENE_WAVES == static_cast<std::uint32_t>(Scene::waves));
static_assert(glsl::CF_SCENE_TEST_CARD == static_cast<std::uint32_t>(Scene::test_card));
static_assert(glsl::CF_SCENE_NOISE == static_cast<std::uint32_t>(Scene::noise));

constexpr std::int64_t turn = std::int64_t{1} << 32;

// The phase of something that goes round once in `frames` frames.
std::uint32_t rotation(std::uint64_t sequence, std::uint64_t frames) {
    return static_cast<std::uint32_t>(sequence % frames * turn / frames);
}

// The phase from one pixel to the next, for `waves`/1000 waves over `pixels`.
std::uint32_t phase_step(std::int64_t waves, std::uint32_t pixels) {
    return static_cast<std::uint32_t>(turn * waves / (1000 * std::int64_t{pixels}));
}

// Makes n / divisor the same as n * inverse >> shift, for every n up to 2^15.
void set_reciprocal(std::uint32_t divisor, std::uint32_t& inverse, std::uint32_t& shift) {
    shift = 15 + static_cast<std::uint32_t>(std::bit_width(divisor));
    inverse = ((1u << shift) + divisor - 1) / divisor;
}

// A circle's edge, of interest as far as `reach` pixels away. The difference of the squares of two
// doubled distances is about 8 * radius * the difference in pixels.
void set_circle(std::uint32_t radius, std::uint32_t reach, int& square, int& limit, int& scale) {
    const int r = static_cast<int>(radius);
    square = 4 * r * r;
    limit = 8 * r * static_cast<int>(reach);
    scale = (32 << 15) / r;
}

void set_ring(CfFrame& frame, std::uint32_t radius, std::uint32_t half) {
    set_circle(radius, half / 256 + 2, frame.ring_square, frame.ring_limit, frame.ring_scale);
    frame.ring_half = static_cast<int>(half);
}

void set_waves(CfFrame& frame, std::uint64_t sequence) {
    frame.wave1_x = phase_step(500, frame.height);
    frame.wave1_y = phase_step(800, frame.height);
    frame.wave1 = glsl::cf_mix(frame.seed) + rotation(sequence, 700);
    frame.wave2_x = phase_step(-1100, frame.height);
    frame.wave2_y = phase_step(500, frame.height);
    frame.wave2 = glsl::cf_mix(frame.seed + 1) + rotation(sequence, 560);
    frame.wave3_x = phase_step(1100, frame.height);
    frame.wave3_y = phase_step(1700, frame.height);
    frame.wave3 = glsl::cf_mix(frame.seed + 2) - rotation(sequence, 420);

    const std::uint32_t side = std::min(frame.width, frame.height);
    const std::uint32_t radius = std::max(side * 21 / 100, 1u);
    const std::uint32_t half = std::max(side * 256 / 240, 160u);
    set_ring(frame, radius, half);
    set_circle(std::max(side / 90, 2u), 2, frame.hub_square, frame.hub_limit, frame.hub_scale);

    const std::uint32_t angle = rotation(sequence, 240); // clockwise from the top
    frame.hand_x = glsl::cf_sine(angle) / 2;
    frame.hand_y = -glsl::cf_sine(angle + static_cast<std::uint32_t>(turn / 4)) / 2;
    frame.hand_length = static_cast<int>(radius * 218); // 85 % of the radius
    frame.hand_half = static_cast<int>(half);
}

void set_number(CfFrame& frame, std::uint64_t number) {
    std::uint32_t digits[20] = {}; // the last one first
    std::uint32_t count = 0;
    for (; number > 0 || count < 6; number /= 10)
        digits[count++] = static_cast<std::uint32_t>(number % 10);
    std::uint32_t* const words[] = {&frame.digits_low, &frame.digits_middle, &frame.digits_high};
    for (std::uint32_t i = 0; i < count; ++i)
        *words[i / 8] |= digits[count - 1 - i] << i % 8 * 4;

    frame.dot = std::max(std::min(frame.cell / 2, 16 * frame.cell / (6 * count + 1)), 1u);
    frame.dot_gap = frame.dot / 8;
    set_reciprocal(frame.dot, frame.dot_inverse, frame.dot_shift);
    frame.text_width = (6 * count - 1) * frame.dot;
    // Wrap below 0 where the number is wider than the frame: it is drawn cut off.
    frame.text_x = frame.width / 2 - frame.text_width / 2;
    frame.text_y = frame.height / 2 - 7 * frame.dot / 2;
}

void set_test_card(CfFrame& frame, std::uint64_t sequence) {
    frame.cell = std::max(std::min(frame.width, frame.height) / 18, 2u);
    frame.line = frame.cell < 12 ? 0 : std::max(frame.cell / 60, 1u);
    set_reciprocal(frame.cell, frame.cell_inverse, frame.cell_shift);
    const auto centre = [&](std::uint32_t side, std::uint32_t& origin, int& middle) {
        origin = (frame.cell - side / 2 % frame.cell) % frame.cell;
        middle = static_cast<int>((side / 2 + origin) / frame.cell);
    };
    centre(frame.width, frame.origin_x, frame.middle_x);
    centre(frame.height, frame.origin_y, frame.middle_y);
    set_ring(frame, 17 * frame.cell / 2, std::max(frame.cell * 256 / 40, 128u));
    const std::uint32_t track = 15 * frame.cell;
    frame.marker =
        static_cast<std::uint32_t>(sequence % track) * std::max(frame.cell / 8, 1u) % track;
    set_number(frame, sequence);
}

template <std::uint32_t scene>
[[gnu::always_inline]] inline void draw_row(CfFrame frame, std::uint32_t y,
                                            std::span<std::uint32_t> row) {
    std::uint32_t* const pixels = row.data();
    const auto width = static_cast<std::uint32_t>(row.size());
    for (std::uint32_t x = 0; x < width; ++x)
        pixels[x] = glsl::cf_pixel(frame, scene, x, y);
}

[[gnu::always_inline]] inline void draw_row_of(Scene scene, const CfFrame& frame, std::uint32_t y,
                                               std::span<std::uint32_t> row) {
    switch (scene) {
    case Scene::none:
        return draw_row<glsl::CF_SCENE_NONE>(frame, y, row);
    case Scene::waves:
        return draw_row<glsl::CF_SCENE_WAVES>(frame, y, row);
    case Scene::test_card:
        return draw_row<glsl::CF_SCENE_TEST_CARD>(frame, y, row);
    case Scene::noise:
        return draw_row<glsl::CF_SCENE_NOISE>(frame, y, row);
    }
}

#ifdef __x86_64__
[[gnu::target("avx2")]] void draw_row_avx2(Scene scene, const CfFrame& frame, std::uint32_t y,
                                           std::span<std::uint32_t> row) {
    draw_row_of(scene, frame, y, row);
}
bool has_avx2() { return __builtin_cpu_supports("avx2"); }
#else
void draw_row_avx2(Scene, const CfFrame&, std::uint32_t, std::span<std::uint32_t>) {}
bool has_avx2() { return false; }
#endif

} // namespace

CfFrame make_scene_frame(Scene scene, std::uint32_t seed, std::uint64_t sequence,
                         std::uint32_t width, std::uint32_t height) {
    CfFrame frame{};
    frame.sequence_low = static_cast<std::uint32_t>(sequence);
    frame.sequence_high = static_cast<std::uint32_t>(sequence >> 32);
    frame.width = width;
    frame.height = height;
    frame.seed = seed;
    frame.key = glsl::cf_check(frame.sequence_low, frame.sequence_high, seed,
                               static_cast<std::uint32_t>(scene), 2);
    frame.slope_x = (128u << 16) / width;
    frame.slope_y = (127u << 16) / height;
    if (scene == Scene::waves)
        set_waves(frame, sequence);
    if (scene == Scene::test_card)
        set_test_card(frame, sequence);
    return frame;
}

std::uint32_t scene_pixel(Scene scene, std::uint32_t seed, std::uint64_t sequence,
                          std::uint32_t width, std::uint32_t height, std::uint32_t x,
                          std::uint32_t y) {
    return glsl::cf_pixel(make_scene_frame(scene, seed, sequence, width, height),
                          static_cast<std::uint32_t>(scene), x, y);
}

void scene_pixels(Scene scene, std::uint32_t seed, std::uint64_t sequence, std::uint32_t width,
                  std::uint32_t height, std::span<const Point> points,
                  std::span<std::uint32_t> pixels) {
    const CfFrame frame = make_scene_frame(scene, seed, sequence, width, height);
    for (std::size_t i = 0; i < points.size(); ++i)
        pixels[i] =
            glsl::cf_pixel(frame, static_cast<std::uint32_t>(scene), points[i].x, points[i].y);
}

void scene_row(Scene scene, std::uint32_t seed, std::uint64_t sequence, std::uint32_t height,
               std::uint32_t y, std::span<std::uint32_t> row) {
    const CfFrame frame =
        make_scene_frame(scene, seed, sequence, static_cast<std::uint32_t>(row.size()), height);
    if (has_avx2())
        draw_row_avx2(scene, frame, y, row);
    else
        draw_row_of(scene, frame, y, row);
}

} // namespace clearframe
