// The layout of a frame in a slot, and the two stamps the GPU writes around its pixels.
//
//   0 ........... pixel_offset .................. trailer_offset ... bytes ... slot_bytes
//   FrameHeader   pixels, `stride` bytes a row    FrameTrailer       padding
//
// The header is written before the picture and the trailer after it, each with the frame's
// sequence number: a torn or stale frame has two that differ, or one that is not the expected one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace clearframe {

// Frames are BGRA8: 4 bytes a pixel, blue first, as VK_FORMAT_B8G8R8A8_UNORM and
// DRM_FORMAT_ARGB8888 have it.
inline constexpr std::uint32_t bytes_per_pixel = 4;
inline constexpr std::uint32_t format_bgra8 = 0x34325241; // DRM_FORMAT_ARGB8888, drm_fourcc.h

inline constexpr std::uint32_t frame_magic = 0x52464c43; // "CLFR" in memory
inline constexpr std::uint32_t frame_version = 1;

inline constexpr std::uint32_t max_frame_side = 16384;

// Where a frame's parts lie in its slot. The same for all slots of a stream.
struct FrameLayout {
    std::uint32_t width = 0;  // pixels
    std::uint32_t height = 0; // pixels
    std::uint32_t stride = 0; // bytes from one row to the next
    std::uint64_t pixel_offset = 0;
    std::uint64_t trailer_offset = 0;
    std::uint64_t bytes = 0;      // what travels: header, pixels, trailer
    std::uint64_t slot_bytes = 0; // what is allocated: a whole number of pages

    std::uint64_t pixel_bytes() const { return std::uint64_t{stride} * height; }
    bool operator==(const FrameLayout&) const = default;
};

// The layout for a frame whose rows are `stride` bytes apart and whose pixels need `alignment`
// (a power of two). `image_bytes`, if larger than the rows, is what the GPU asks for the image.
FrameLayout make_frame_layout(std::uint32_t width, std::uint32_t height, std::uint32_t stride,
                              std::uint64_t alignment, std::uint64_t image_bytes = 0);

// What the sender draws. The numbers are part of the frame header and of the shaders.
enum class Scene : std::uint32_t { none = 0, waves = 1, test_card = 2, noise = 3 };

std::string_view scene_name(Scene scene);
std::optional<Scene> scene_from_name(std::string_view name);

// The values that a frame's stamps and every pixel of it follow from.
struct FrameStamp {
    std::uint64_t sequence = 0; // counts frames of a stream from 0
    std::uint64_t time_ns = 0;  // CLOCK_MONOTONIC of the sender's host when it began the frame
};

// All fields are little-endian. Written by the GPU (shaders/stamp.comp) or, where nothing is
// rendered, by the CPU.
struct FrameHeader {
    std::uint32_t magic;
    std::uint32_t version;
    std::uint64_t sequence;
    std::uint64_t time_ns;
    std::uint32_t width;
    std::uint32_t height;
    std::uint32_t stride;
    std::uint32_t format;
    std::uint32_t scene;
    std::uint32_t seed;
    std::uint32_t check; // frame_check() with salt 0
    std::uint32_t reserved[3];
};
static_assert(sizeof(FrameHeader) == 64);
static_assert(offsetof(FrameHeader, sequence) == 8);
static_assert(offsetof(FrameHeader, width) == 24);
static_assert(offsetof(FrameHeader, check) == 48);

struct FrameTrailer {
    std::uint64_t sequence;
    std::uint32_t check; // frame_check() with salt 1
    std::uint32_t magic;
};
static_assert(sizeof(FrameTrailer) == 16);
static_assert(offsetof(FrameTrailer, check) == 8);

// Mixes sequence, seed and scene into the check word of one end of a frame. The GPU computes the
// same (shaders/scene.glsl).
std::uint32_t frame_check(std::uint64_t sequence, std::uint32_t seed, std::uint32_t scene,
                          std::uint32_t salt);

FrameHeader make_header(const FrameLayout& layout, Scene scene, std::uint32_t seed,
                        const FrameStamp& stamp);
FrameTrailer make_trailer(Scene scene, std::uint32_t seed, std::uint64_t sequence);

// Why a frame's stamps are not those of the frame expected.
enum class StampFault { none, bad_magic, bad_version, bad_geometry, stale, torn, bad_check };
std::string_view stamp_fault_text(StampFault fault);

// Holds both stamps, once copied out of memory that can change, against what they must be for
// frame `sequence`. Uses nothing of them before it has been checked.
StampFault check_stamps(const FrameHeader& header, const FrameTrailer& trailer,
                        const FrameLayout& layout, Scene scene, std::uint32_t seed,
                        std::uint64_t sequence);

} // namespace clearframe
