#include "wire/frame.h"

#include "core/hash.h"
#include "core/units.h"

#include <algorithm>

namespace clearframe {
namespace {

struct SceneName {
    Scene scene;
    std::string_view name;
};
constexpr SceneName scene_names[] = {{Scene::none, "none"},
                                     {Scene::waves, "waves"},
                                     {Scene::test_card, "test-card"},
                                     {Scene::noise, "noise"}};

} // namespace

FrameLayout make_frame_layout(std::uint32_t width, std::uint32_t height, std::uint32_t stride,
                              std::uint64_t alignment, std::uint64_t image_bytes) {
    FrameLayout layout;
    layout.width = width;
    layout.height = height;
    layout.stride = stride;
    // The header has a page of its own, so that pixels start on one.
    layout.pixel_offset = align_up(4 * KiB, alignment);
    layout.trailer_offset = align_up(layout.pixel_offset + layout.pixel_bytes(), 64);
    layout.bytes = layout.trailer_offset + sizeof(FrameTrailer);
    layout.slot_bytes =
        align_up(std::max(layout.bytes, layout.pixel_offset + image_bytes), 4 * KiB);
    return layout;
}

std::string_view scene_name(Scene scene) {
    for (const SceneName& entry : scene_names)
        if (entry.scene == scene)
            return entry.name;
    return "unknown";
}

std::optional<Scene> scene_from_name(std::string_view name) {
    for (const SceneName& entry : scene_names)
        if (entry.name == name)
            return entry.scene;
    return std::nullopt;
}

FrameHeader make_header(const FrameLayout& layout, Scene scene, std::uint32_t seed,
                        const FrameStamp& stamp) {
    FrameHeader header{};
    header.magic = frame_magic;
    header.version = frame_version;
    header.sequence = stamp.sequence;
    header.time_ns = stamp.time_ns;
    header.width = layout.width;
    header.height = layout.height;
    header.stride = layout.stride;
    header.format = format_bgra8;
    header.scene = static_cast<std::uint32_t>(scene);
    header.seed = seed;
    header.check = frame_check(stamp.sequence, seed, header.scene, 0);
    return header;
}

FrameTrailer make_trailer(Scene scene, std::uint32_t seed, std::uint64_t sequence) {
    return {sequence, frame_check(sequence, seed, static_cast<std::uint32_t>(scene), 1),
            frame_magic};
}

std::uint32_t frame_check(std::uint64_t sequence, std::uint32_t seed, std::uint32_t scene,
                          std::uint32_t salt) {
    // Kept equal to the GPU's (shaders/scene.glsl) by a test.
    std::uint32_t h = mix32(salt + 0x9e3779b9u);
    h = mix32(h ^ static_cast<std::uint32_t>(sequence));
    h = mix32(h ^ static_cast<std::uint32_t>(sequence >> 32));
    h = mix32(h ^ seed);
    return mix32(h ^ scene);
}

std::string_view stamp_fault_text(StampFault fault) {
    switch (fault) {
    case StampFault::none:
        return "good";
    case StampFault::bad_magic:
        return "no frame header";
    case StampFault::bad_version:
        return "unknown header version";
    case StampFault::bad_geometry:
        return "size, stride or format differ from what was agreed";
    case StampFault::stale:
        return "the slot holds another frame";
    case StampFault::torn:
        return "head and tail are of different frames";
    case StampFault::bad_check:
        return "check word does not match";
    }
    return "unknown";
}

StampFault check_stamps(const FrameHeader& header, const FrameTrailer& trailer,
                        const FrameLayout& layout, Scene scene, std::uint32_t seed,
                        std::uint64_t sequence) {
    const auto scene_number = static_cast<std::uint32_t>(scene);
    if (header.magic != frame_magic)
        return StampFault::bad_magic;
    if (header.version != frame_version)
        return StampFault::bad_version;
    if (header.width != layout.width || header.height != layout.height ||
        header.stride != layout.stride || header.format != format_bgra8)
        return StampFault::bad_geometry;
    if (header.sequence != trailer.sequence || trailer.magic != frame_magic)
        return StampFault::torn;
    if (header.sequence != sequence)
        return StampFault::stale;
    if (header.scene != scene_number || header.seed != seed ||
        header.check != frame_check(sequence, seed, scene_number, 0) ||
        trailer.check != frame_check(sequence, seed, scene_number, 1))
        return StampFault::bad_check;
    return StampFault::none;
}

} // namespace clearframe
