// What the tests of gpu/ share: a heap, a GPU if there is one, a ring of slots.
#pragma once

#include "core/error.h"
#include "gpu/gpu.h"
#include "gpu/scene.h"
#include "memory/heap.h"
#include "support/files.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace clearframe {

inline constexpr Nanoseconds patience = 60'000'000'000; // a hang ends the test, not a slow machine
inline constexpr Scene all_scenes[] = {Scene::none, Scene::waves, Scene::test_card, Scene::noise};

// In the names of tests, and where they fail.
inline void PrintTo(Scene scene, std::ostream* out) { *out << scene_name(scene); }
inline void PrintTo(TargetKind target, std::ostream* out) {
    *out << (target == TargetKind::image ? "image" : "buffer");
}
inline void PrintTo(ImportKind import, std::ostream* out) {
    *out << (import == ImportKind::dma_buf ? "dma_buf" : "host_pointer");
}

inline std::vector<std::string> usable_heaps() {
    std::vector<std::string> names;
    for (const Candidate& heap : probe_heaps())
        if (heap.usable)
            names.push_back(heap.name);
    return names;
}

// The best device that takes slots of `heap`; its index.
inline std::optional<std::size_t> first_gpu(const Heap& heap, const GpuOptions& options) {
    const std::vector<Candidate> candidates = Gpu::probe(heap, options);
    for (std::size_t i = 0; i + 1 < candidates.size(); ++i)
        if (candidates[i].usable)
            return i;
    return std::nullopt;
}

inline std::string refusals(const Heap& heap, const GpuOptions& options) {
    std::string text;
    for (const Candidate& candidate : Gpu::probe(heap, options))
        text += candidate.name + ": " + candidate.refusal + "; ";
    return text;
}

inline Exposure exposure_of(const Heap& heap) {
    return heap.is_shared_heap() ? Exposure::shared : Exposure::private_memory;
}

inline std::vector<DmaBuf> allocate_slots(const Heap& heap, const FrameLayout& layout,
                                          std::size_t count, ExposureMeter& meter) {
    std::vector<DmaBuf> slots;
    for (std::size_t i = 0; i < count; ++i)
        slots.push_back(heap.allocate(layout.slot_bytes, exposure_of(heap), meter));
    return slots;
}

// The stamps of the frame in `slot`, held against what they must be.
inline StampFault stamp_fault(const DmaBuf& slot, const FrameLayout& layout, Scene scene,
                              std::uint32_t seed, std::uint64_t sequence) {
    const Mapping mapping = slot.map(Access::read);
    const CpuAccess access(slot, Access::read);
    FrameHeader header;
    FrameTrailer trailer;
    std::memcpy(&header, mapping.bytes().data(), sizeof header);
    std::memcpy(&trailer, mapping.bytes().data() + layout.trailer_offset, sizeof trailer);
    return check_stamps(header, trailer, layout, scene, seed, sequence);
}

// Every pixel of the frame in `slot` is what the scene says: for Scene::none, `number` is 0.
inline testing::AssertionResult picture_is(const DmaBuf& slot, const FrameLayout& layout,
                                           Scene scene, std::uint32_t seed, std::uint64_t number) {
    const Mapping mapping = slot.map(Access::read);
    const CpuAccess access(slot, Access::read);
    std::vector<std::uint32_t> expected(layout.width);
    std::vector<std::uint32_t> found(layout.width);
    for (std::uint32_t y = 0; y < layout.height; ++y) {
        scene_row(scene, seed, number, layout.height, y, expected);
        std::memcpy(found.data(),
                    mapping.bytes().data() + layout.pixel_offset + std::size_t{y} * layout.stride,
                    std::size_t{layout.width} * bytes_per_pixel);
        for (std::uint32_t x = 0; x < layout.width; ++x)
            if (found[x] != expected[x])
                return testing::AssertionFailure()
                       << "pixel (" << x << ", " << y << ") is " << std::hex << found[x]
                       << ", and must be " << expected[x];
    }
    return testing::AssertionSuccess();
}

} // namespace clearframe
