// Choosing and opening a GPU, and what it says when it cannot.
#include "unit/gpu/gpu_support.h"

#include <gmock/gmock.h>

#include <unistd.h>

namespace clearframe {
namespace {

using testing::HasSubstr;

// An environment variable, put back as it was.
class Environment {
public:
    Environment(const char* name, const char* value) : name_(name) {
        if (const char* old = std::getenv(name))
            old_ = old;
        ::setenv(name, value, 1);
    }
    ~Environment() {
        if (old_)
            ::setenv(name_, old_->c_str(), 1);
        else
            ::unsetenv(name_);
    }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

private:
    const char* name_;
    std::optional<std::string> old_;
};

std::string error_of(auto&& call) {
    try {
        call();
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

class GpuTest : public testing::Test {
protected:
    void SetUp() override {
        heap_ = open_heap(usable_heaps().at(0));
        const auto index = first_gpu(*heap_, {});
        if (!index)
            GTEST_SKIP() << refusals(*heap_, {});
        index_ = *index;
    }

    std::unique_ptr<Heap> heap_;
    std::size_t index_ = 0;
    ExposureMeter meter_;
};

TEST_F(GpuTest, ProbeListsDevicesAndThenNone) {
    const std::vector<Candidate> candidates = Gpu::probe(*heap_, {});
    ASSERT_GE(candidates.size(), 2u);
    EXPECT_EQ(candidates.back().name, "none");
    EXPECT_TRUE(candidates.back().usable);
    EXPECT_TRUE(candidates.back().emulated);
    for (const Candidate& candidate : candidates) {
        EXPECT_EQ(candidate.usable, candidate.refusal.empty()) << candidate.name;
        EXPECT_EQ(candidate.emulated, !candidate.emulation.empty()) << candidate.name;
    }

    const Gpu gpu(index_, *heap_, {});
    EXPECT_EQ(gpu.info().name, candidates[index_].name);
    EXPECT_EQ(gpu.info().driver, candidates[index_].detail);
    EXPECT_EQ(gpu.info().emulation, candidates[index_].emulation);
    EXPECT_EQ(gpu.info().import == ImportKind::dma_buf, gpu.info().import_reason.empty());
    EXPECT_EQ(gpu.info().target == TargetKind::image, gpu.info().target_reason.empty());
    EXPECT_FALSE(gpu.info().validated);
    EXPECT_EQ(gpu.validation_messages(), 0u);
}

TEST_F(GpuTest, AFallbackAskedForSaysSo) {
    const GpuOptions options{.import = ImportKind::host_pointer, .target = TargetKind::buffer};
    const auto index = first_gpu(*heap_, options);
    if (!index)
        GTEST_SKIP() << refusals(*heap_, options);
    const Gpu gpu(*index, *heap_, options);
    EXPECT_EQ(gpu.info().import_reason, "asked for");
    EXPECT_EQ(gpu.info().target_reason, "asked for");
    EXPECT_FALSE(gpu.info().uses_modifiers);
}

TEST_F(GpuTest, ImportsTheVeryBuffers) {
    for (const ImportKind import : {ImportKind::dma_buf, ImportKind::host_pointer}) {
        const GpuOptions options{.import = import};
        const auto index = first_gpu(*heap_, options);
        if (!index)
            continue;
        Gpu gpu(*index, *heap_, options);
        EXPECT_TRUE(gpu.imported().empty());
        const FrameLayout layout = gpu.frame_layout(64, 64);
        const auto slots = allocate_slots(*heap_, layout, 3, meter_);
        for (const Scene scene : {Scene::none, Scene::waves}) {
            const auto source = gpu.make_source(slots, layout, scene, 1);
            ASSERT_EQ(gpu.imported().size(), slots.size());
            for (std::size_t i = 0; i < slots.size(); ++i)
                EXPECT_EQ(gpu.imported()[i], slots[i].identity());
        }
    }
}

TEST_F(GpuTest, LayoutsHoldWhatTheyMust) {
    for (const TargetKind target : {TargetKind::image, TargetKind::buffer}) {
        const GpuOptions options{.target = target};
        const auto index = first_gpu(*heap_, options);
        if (!index)
            continue;
        const Gpu gpu(*index, *heap_, options);
        for (const std::uint32_t width : {1u, 64u, 1000u, 1920u, 7680u}) {
            const FrameLayout layout = gpu.frame_layout(width, 37);
            EXPECT_EQ(layout.width, width);
            EXPECT_EQ(layout.height, 37u);
            EXPECT_GE(layout.stride, width * bytes_per_pixel);
            EXPECT_EQ(layout.stride % bytes_per_pixel, 0u);
            EXPECT_GE(layout.slot_bytes, layout.bytes);
        }
    }
}

TEST_F(GpuTest, SizesThatCannotBeAreErrors) {
    const Gpu gpu(index_, *heap_, {});
    for (const auto& [width, height] :
         {std::pair{0u, 64u}, {64u, 0u}, {16385u, 64u}, {64u, 70000u}})
        EXPECT_THAT(error_of([&, w = width, h = height] { gpu.frame_layout(w, h); }),
                    HasSubstr("1 to 16384 pixels"));

    const GpuOptions options{.target = TargetKind::buffer};
    if (const auto index = first_gpu(*heap_, options)) {
        const Gpu buffers(*index, *heap_, options);
        const std::string error =
            error_of([&] { buffers.frame_layout(max_frame_side, max_frame_side); });
        EXPECT_THAT(error, testing::AnyOf(HasSubstr("cannot make frames of 16384x16384: at most"),
                                          "no error")); // where storage buffers may be 1 GiB
    }
}

TEST_F(GpuTest, SlotsThatDoNotFitAreErrors) {
    Gpu gpu(index_, *heap_, {});
    const FrameLayout layout = gpu.frame_layout(256, 256);
    const auto small = allocate_slots(*heap_, gpu.frame_layout(64, 64), 1, meter_);
    EXPECT_THAT(error_of([&] { gpu.make_source(small, layout, Scene::waves, 1); }),
                HasSubstr("a frame needs 270.3 kB"));

    if (gpu.info().target == TargetKind::image) {
        FrameLayout other = make_frame_layout(256, 256, layout.stride + 256, 4096);
        const auto slots = allocate_slots(*heap_, other, 1, meter_);
        EXPECT_THAT(error_of([&] { gpu.make_source(slots, other, Scene::waves, 1); }),
                    HasSubstr("the frame's layout is not one of this GPU"));
    }
}

TEST_F(GpuTest, AFailedImportIsAnErrorAndLeaksNothing) {
    const GpuOptions options{.import = ImportKind::dma_buf};
    const auto index = first_gpu(*heap_, options);
    if (!index)
        GTEST_SKIP() << refusals(*heap_, options);
    Gpu gpu(*index, *heap_, options);
    const FrameLayout layout = gpu.frame_layout(64, 64);
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const UniqueFd other_end(ends[1]);
    std::vector<DmaBuf> slots = allocate_slots(*heap_, layout, 2, meter_);
    slots.emplace_back(UniqueFd(ends[0]), layout.slot_bytes, Exposure::private_memory, false,
                       "pipe", meter_);
    const std::size_t fds = test::open_descriptors();
    for (int i = 0; i < 5; ++i)
        EXPECT_THAT(error_of([&] { gpu.make_source(slots, layout, Scene::waves, 1); }),
                    HasSubstr("importing a slot of heap pipe (24.6 kB): VK_ERROR_"));
    EXPECT_EQ(test::open_descriptors(), fds);
}

TEST_F(GpuTest, ComingAndGoingLeaksNoDescriptors) {
    const auto round = [&] {
        for (const ImportKind import : {ImportKind::dma_buf, ImportKind::host_pointer}) {
            const GpuOptions options{.import = import};
            const auto index = first_gpu(*heap_, options);
            if (!index)
                continue;
            Gpu gpu(*index, *heap_, options);
            const FrameLayout layout = gpu.frame_layout(64, 64);
            const auto slots = allocate_slots(*heap_, layout, 2, meter_);
            const auto source = gpu.make_source(slots, layout, Scene::waves, 1);
            source->begin(0, {.sequence = 1, .time_ns = 1});
            EXPECT_TRUE(source->wait(0, patience));
        }
    };
    round(); // what the driver opens once
    const std::size_t fds = test::open_descriptors();
    for (int i = 0; i < 20; ++i)
        round();
    EXPECT_EQ(test::open_descriptors(), fds);
}

TEST_F(GpuTest, ASourceGoesWhileItsFramesAreInFlight) {
    Gpu gpu(index_, *heap_, {});
    const FrameLayout layout = gpu.frame_layout(640, 360);
    const auto slots = allocate_slots(*heap_, layout, 4, meter_);
    const auto source = gpu.make_source(slots, layout, Scene::noise, 1);
    for (std::uint32_t i = 0; i < 4; ++i)
        source->begin(i, {.sequence = i, .time_ns = 1});
}

TEST_F(GpuTest, TheDriversCpuTimeIsKept) {
    Gpu gpu(index_, *heap_, {});
    const FrameLayout layout = gpu.frame_layout(64, 64);
    const auto slots = allocate_slots(*heap_, layout, 1, meter_);
    const auto source = gpu.make_source(slots, layout, Scene::waves, 1);
    EXPECT_EQ(source->driver_cpu(), 0);
    const Nanoseconds before = thread_cpu();
    source->begin(0, {.sequence = 1, .time_ns = 1});
    EXPECT_TRUE(source->wait(0, patience));
    EXPECT_GT(source->driver_cpu(), 0);
    EXPECT_LE(source->driver_cpu(), thread_cpu() - before);
    EXPECT_EQ(gpu.make_source(slots, layout, Scene::none, 1)->driver_cpu(), 0);
}

TEST_F(GpuTest, WaitOfNoTimeOnlyAsks) {
    Gpu gpu(index_, *heap_, {});
    const FrameLayout layout = gpu.frame_layout(64, 64);
    const auto slots = allocate_slots(*heap_, layout, 1, meter_);
    const auto source = gpu.make_source(slots, layout, Scene::waves, 1);
    source->begin(0, {.sequence = 9, .time_ns = 1});
    const Nanoseconds end = now() + patience;
    while (!source->wait(0, 0))
        ASSERT_LT(now(), end);
    EXPECT_EQ(stamp_fault(slots[0], layout, Scene::waves, 1, 9), StampFault::none);
}

TEST_F(GpuTest, NoSuchDevice) {
    EXPECT_THAT(error_of([&] { Gpu(1000, *heap_, {}); }), HasSubstr("no Vulkan device 1000"));
}

TEST_F(GpuTest, NoValidationLayer) {
    const Environment layers("VK_LAYER_PATH", "/nonexistent");
    const GpuOptions options{.validation = true};
    EXPECT_THAT(error_of([&] { Gpu(index_, *heap_, options); }),
                HasSubstr("apt install vulkan-validationlayers"));
    const auto candidates = Gpu::probe(*heap_, options);
    ASSERT_EQ(candidates.size(), 2u);
    EXPECT_THAT(candidates[0].refusal, HasSubstr("apt install vulkan-validationlayers"));
    EXPECT_TRUE(candidates[1].usable);
}

TEST(NoGpuTest, NoDriver) {
    const Environment drivers("VK_DRIVER_FILES", "/nonexistent");
    const Environment older("VK_ICD_FILENAMES", "/nonexistent");
    const auto heap = open_heap(usable_heaps().at(0));
    const auto candidates = Gpu::probe(*heap, {});
    ASSERT_EQ(candidates.size(), 2u);
    EXPECT_EQ(candidates[0].name, "vulkan");
    EXPECT_FALSE(candidates[0].usable);
    EXPECT_THAT(candidates[0].refusal, HasSubstr("apt install mesa-vulkan-drivers"));
    EXPECT_EQ(candidates[1].name, "none");
    EXPECT_TRUE(candidates[1].usable);
    EXPECT_THAT(error_of([&] { Gpu(0, *heap, {}); }), HasSubstr("mesa-vulkan-drivers"));
}

TEST(NoGpuTest, TheCpuFillsOnceAndStamps) {
    const auto heap = open_heap(usable_heaps().at(0));
    const FrameLayout layout = plain_frame_layout(1000, 37);
    EXPECT_EQ(layout.stride, 4032u);
    ExposureMeter meter;
    const auto slots = allocate_slots(*heap, layout, 3, meter);
    const auto source = make_static_source(slots, layout, 5);
    EXPECT_EQ(source->scene(), Scene::none);
    for (std::uint64_t sequence = (std::uint64_t{1} << 32) - 2;
         sequence < (std::uint64_t{1} << 32) + 4; ++sequence) {
        const auto slot = static_cast<std::uint32_t>(sequence % 3);
        source->begin(slot, {.sequence = sequence, .time_ns = 11});
        EXPECT_TRUE(source->wait(slot, 0));
        EXPECT_EQ(stamp_fault(slots[slot], layout, Scene::none, 5, sequence), StampFault::none);
    }
    for (std::uint32_t i = 0; i < 3; ++i)
        EXPECT_TRUE(picture_is(slots[i], layout, Scene::none, 5, 0));
}

} // namespace
} // namespace clearframe
