// The frame loop allocates nothing, on any thread.
#include "pipeline/session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<bool> counting{false};
std::atomic<std::uint64_t> allocations{0};

void* allocate(std::size_t bytes, std::size_t alignment) {
    if (counting.load(std::memory_order_relaxed))
        allocations.fetch_add(1, std::memory_order_relaxed);
    void* memory = nullptr;
    if (posix_memalign(&memory, std::max(alignment, sizeof memory), bytes) != 0)
        std::abort(); // a test has no use for less
    return memory;
}

} // namespace

void* operator new(std::size_t bytes) { return allocate(bytes, __STDCPP_DEFAULT_NEW_ALIGNMENT__); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
    return allocate(bytes, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
    return allocate(bytes, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace clearframe {
namespace {

class Allocations : public testing::TestWithParam<Scene> {};

TEST_P(Allocations, AreNotMadeByTheFrameLoop) {
    const auto heap = open_heap("memfd");
    ExposureMeter exposure;
    const auto nic = open_nic("emulated");
    std::unique_ptr<Gpu> gpu;
    if (GetParam() != Scene::none) {
        const auto gpus = Gpu::probe(*heap, {});
        if (!gpus.front().usable || gpus.front().name == "none")
            GTEST_SKIP() << "no Vulkan device here: " << gpus.front().refusal;
        gpu = std::make_unique<Gpu>(0, *heap, GpuOptions{});
    }
    SendMeter sent;
    ReceiveMeter received(60 * one_second);
    Session session({.width = 640,
                     .height = 360,
                     .ring = 4,
                     .seed = 1,
                     .verify = Verify::full,
                     .patience = 10 * one_second,
                     .paths = {find_path("zero-copy"), find_path("staging")}},
                    {.shared_heap = *heap,
                     .private_heap = *heap,
                     .gpu = gpu.get(),
                     .nic = *nic,
                     .exposure = exposure});
    session.set_scene(GetParam());
    // Somebody looks at every second frame.
    FrameTap tap;
    std::uint64_t looked = 0;
    const FrameViewer look = [&](FrameView, std::uint64_t sequence) {
        if (sequence % 2 == 0)
            looked += static_cast<bool>(tap.take());
    };
    const auto run = [&](std::uint64_t frames) {
        for (const std::size_t path : {0u, 1u})
            session.run_block(path, {.frames = frames, .until = now() + 60 * one_second}, sent,
                              received, &look, &tap);
    };
    run(20); // threads start, the driver settles
    counting = true;
    run(50);
    counting = false;
    EXPECT_EQ(allocations.exchange(0), 0u);
    EXPECT_EQ(received.corrupt.get() + received.lost.get(), 0u);
    EXPECT_GT(looked, 0u);
}

INSTANTIATE_TEST_SUITE_P(Scenes, Allocations, testing::Values(Scene::none, Scene::waves),
                         [](const auto& scene) { return std::string(scene_name(scene.param)); });

TEST(Counting, SeesAnAllocation) {
    counting = true;
    std::vector<int> values(100);
    values.push_back(1);
    counting = false;
    EXPECT_GT(allocations.exchange(0), 0u);
}

} // namespace
} // namespace clearframe
