// Frames drawn by the GPU, every pixel and both stamps, for every scene, target and import.
#include "unit/gpu/gpu_support.h"

#include <fmt/format.h>

#include <dlfcn.h>

#include <algorithm>
#include <tuple>

namespace clearframe {
namespace {

constexpr std::uint32_t drawn_seed = 0xc0ffee;
constexpr std::uint64_t start_time = 1'000'000'000'000;

using Case = std::tuple<Scene, TargetKind, ImportKind>;

std::string case_name(const testing::TestParamInfo<Case>& info) {
    const auto& [scene, target, import] = info.param;
    std::string name = fmt::format("{}_{}_{}", testing::PrintToString(scene),
                                   testing::PrintToString(target), testing::PrintToString(import));
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

class RenderTest : public testing::TestWithParam<Case> {
protected:
    Scene scene() const { return std::get<0>(GetParam()); }
    TargetKind target() const { return std::get<1>(GetParam()); }
    ImportKind import() const { return std::get<2>(GetParam()); }

    GpuOptions options(bool validation = false) const {
        return {.validation = validation, .import = import(), .target = target()};
    }

    // A sequence is drawn into each slot in turn; all are in flight before the first is waited for.
    void check_frames(Gpu& gpu, const Heap& heap, std::uint32_t width, std::uint32_t height,
                      std::uint64_t first, std::size_t rounds) {
        SCOPED_TRACE(
            fmt::format("{}x{}, heap {}, from frame {}", width, height, heap.name(), first));
        const FrameLayout layout = gpu.frame_layout(width, height);
        ExposureMeter meter;
        const std::vector<DmaBuf> slots = allocate_slots(heap, layout, 4, meter);
        const auto source = gpu.make_source(slots, layout, scene(), drawn_seed);
        EXPECT_EQ(source->scene(), scene());
        for (std::size_t round = 0; round < rounds; ++round) {
            const std::uint64_t sequence = first + round * slots.size();
            for (std::uint32_t i = 0; i < slots.size(); ++i)
                source->begin(i, {.sequence = sequence + i, .time_ns = start_time + i});
            for (std::uint32_t i = 0; i < slots.size(); ++i) {
                ASSERT_TRUE(source->wait(i, patience));
                EXPECT_EQ(stamp_fault(slots[i], layout, scene(), drawn_seed, sequence + i),
                          StampFault::none);
                EXPECT_TRUE(picture_is(slots[i], layout, scene(), drawn_seed,
                                       scene() == Scene::none ? 0 : sequence + i));
                const Mapping mapping = slots[i].map(Access::read);
                FrameHeader header;
                std::memcpy(&header, mapping.bytes().data(), sizeof header);
                EXPECT_EQ(header.time_ns, start_time + i);
            }
        }
    }

    void for_each_heap(auto&& check) {
        bool checked = false;
        std::string reasons;
        for (const std::string& name : usable_heaps()) {
            const auto heap = open_heap(name);
            const auto index = first_gpu(*heap, options());
            if (!index) {
                reasons += refusals(*heap, options());
                continue;
            }
            Gpu gpu(*index, *heap, options());
            EXPECT_EQ(gpu.info().target, target());
            EXPECT_EQ(gpu.info().import, import());
            check(gpu, *heap);
            checked = true;
        }
        if (!checked)
            GTEST_SKIP() << reasons;
    }
};

TEST_P(RenderTest, EveryPixelIsTheScenes) {
    for_each_heap([&](Gpu& gpu, const Heap& heap) {
        check_frames(gpu, heap, 64, 64, 0, 1);
        check_frames(gpu, heap, 1000, 37, 7, 1);
        check_frames(gpu, heap, 1920, 1080, 1234, 1);
    });
}

TEST_P(RenderTest, ARingOfFramesInFlight) {
    for_each_heap([&](Gpu& gpu, const Heap& heap) {
        check_frames(gpu, heap, 333, 201, 0, 8);
        check_frames(gpu, heap, 333, 201, (std::uint64_t{1} << 32) - 6, 3);
        check_frames(gpu, heap, 333, 201, ~std::uint64_t{0} - 11, 3);
    });
}

INSTANTIATE_TEST_SUITE_P(Gpu, RenderTest,
                         testing::Combine(testing::ValuesIn(all_scenes),
                                          testing::Values(TargetKind::image, TargetKind::buffer),
                                          testing::Values(ImportKind::dma_buf,
                                                          ImportKind::host_pointer)),
                         case_name);

// Validation and synchronization validation have nothing to say.
class ValidationTest : public RenderTest {
protected:
    // The layer leaks when it is unloaded. Kept loaded, it can be named in suppressions/lsan.txt.
    ValidationTest() { ::dlopen("libVkLayer_khronos_validation.so", RTLD_LAZY | RTLD_NODELETE); }
};

TEST_P(ValidationTest, IsSilent) {
    const auto heap = open_heap(usable_heaps().at(0));
    std::optional<std::size_t> index = first_gpu(*heap, options(true));
    if (!index)
        GTEST_SKIP() << refusals(*heap, options(true));
    Gpu gpu(*index, *heap, options(true));
    EXPECT_TRUE(gpu.info().validated);
    check_frames(gpu, *heap, 128, 72, 5, 2);
    EXPECT_EQ(gpu.validation_messages(), 0u) << gpu.first_validation_message();
}

INSTANTIATE_TEST_SUITE_P(Gpu, ValidationTest,
                         testing::Combine(testing::Values(Scene::none, Scene::waves),
                                          testing::Values(TargetKind::image, TargetKind::buffer),
                                          testing::Values(ImportKind::dma_buf,
                                                          ImportKind::host_pointer)),
                         case_name);

} // namespace
} // namespace clearframe
