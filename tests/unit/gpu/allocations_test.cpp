// Making a frame allocates nothing.
#include "gpu/frame_view.h"
#include "unit/gpu/gpu_support.h"

#include <cstdlib>
#include <new>

namespace {

thread_local std::size_t allocations = 0; // by this thread, so far

} // namespace

// Not inlined: GCC would take malloc and free for a mismatch with new and delete.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
    ++allocations;
    if (void* memory = std::malloc(bytes))
        return memory;
    throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
    ++allocations;
    return std::malloc(bytes);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace clearframe {
namespace {

std::size_t allocations_of(FrameSource& source, std::uint32_t slots, std::uint64_t frames) {
    const std::size_t before = allocations;
    for (std::uint64_t sequence = 0; sequence < frames; ++sequence) {
        const auto slot = static_cast<std::uint32_t>(sequence % slots);
        EXPECT_TRUE(source.wait(slot, patience));
        source.begin(slot, {.sequence = sequence, .time_ns = 1});
    }
    for (std::uint32_t slot = 0; slot < slots; ++slot)
        EXPECT_TRUE(source.wait(slot, patience));
    return allocations - before;
}

TEST(AllocationTest, AreCounted) {
    const std::size_t before = allocations;
    const auto something = std::make_unique<std::vector<int>>(100);
    EXPECT_EQ(allocations - before, 2u);
}

TEST(AllocationTest, NoneForAFrameOfTheGpu) {
    const auto heap = open_heap(usable_heaps().at(0));
    const auto index = first_gpu(*heap, {});
    if (!index)
        GTEST_SKIP() << refusals(*heap, {});
    Gpu gpu(*index, *heap, {});
    const FrameLayout layout = gpu.frame_layout(64, 64);
    ExposureMeter meter;
    const auto slots = allocate_slots(*heap, layout, 3, meter);
    for (const Scene scene : all_scenes) {
        const auto source = gpu.make_source(slots, layout, scene, 1);
        allocations_of(*source, 3, 3); // what the driver makes for a first frame
        EXPECT_EQ(allocations_of(*source, 3, 50), 0u) << scene_name(scene);
    }
}

TEST(AllocationTest, NoneForAFrameThatIsLookedAt) {
    const auto instance = std::make_shared<const VulkanInstance>(false);
    if (instance->devices().empty())
        GTEST_SKIP() << "no Vulkan driver has a device";
    const GpuDevice device(instance, instance->devices().front());
    FrameViews views(device);
    const auto heap = open_heap(usable_heaps().at(0));
    const FrameLayout layout = plain_frame_layout(64, 64);
    ExposureMeter meter;
    const auto slots = allocate_slots(*heap, layout, 2, meter);
    const auto viewed = views.import(slots, layout);
    views.resize(0, 32, 32);
    views.draw(0, *viewed, 0);
    const std::size_t before = allocations;
    for (std::uint32_t i = 0; i < 20; ++i)
        views.draw(0, *viewed, i % 2);
    EXPECT_EQ(allocations - before, 0u);
}

TEST(AllocationTest, NoneForAFrameWithoutAGpu) {
    const auto heap = open_heap(usable_heaps().at(0));
    const FrameLayout layout = plain_frame_layout(64, 64);
    ExposureMeter meter;
    const auto slots = allocate_slots(*heap, layout, 3, meter);
    EXPECT_EQ(allocations_of(*make_static_source(slots, layout, 1), 3, 50), 0u);
}

} // namespace
} // namespace clearframe
