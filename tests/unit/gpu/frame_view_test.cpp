// Received frames as pictures: every pixel against the same averaging done here, from slots that
// are imported, not uploaded.
#include "gpu/commands.h"
#include "gpu/frame_view.h"
#include "unit/gpu/gpu_support.h"

#include <fmt/format.h>

#include <dlfcn.h>

#include <array>
#include <atomic>
#include <thread>

namespace clearframe {
namespace {

struct Size {
    std::uint32_t width = 0, height = 0;
};

constexpr std::uint32_t seed = 0xbead;
constexpr std::uint32_t black = 0xff000000;

// A frame's pixels, or a picture's, BGRA8.
struct Pixels {
    Size size;
    std::vector<std::uint32_t> bgra;
    std::uint32_t at(std::uint32_t x, std::uint32_t y) const {
        return bgra[std::size_t{y} * size.width + x];
    }
};

Pixels scene_frame(Scene scene, std::uint64_t sequence, Size size) {
    Pixels frame{size, std::vector<std::uint32_t>(std::size_t{size.width} * size.height)};
    for (std::uint32_t y = 0; y < size.height; ++y)
        scene_row(scene, seed, sequence, size.height, y,
                  std::span(frame.bgra).subspan(std::size_t{y} * size.width, size.width));
    return frame;
}

// The frame in a view of this size, as frame_view.h says it is.
Pixels reference(const Pixels& frame, Size view) {
    const auto [w, h] = frame.size;
    Size fitted;
    if (view.width >= w && view.height >= h) {
        const std::uint32_t times = std::min(view.width / w, view.height / h);
        fitted = {w * times, h * times};
    } else if (double{1} * view.width / w <= double{1} * view.height / h) {
        fitted = {view.width, std::max(1u, view.width * h / w)};
    } else {
        fitted = {std::max(1u, view.height * w / h), view.height};
    }
    Pixels picture{view, std::vector<std::uint32_t>(std::size_t{view.width} * view.height, black)};
    for (std::uint32_t y = 0; y < fitted.height; ++y) {
        for (std::uint32_t x = 0; x < fitted.width; ++x) {
            const std::uint32_t left = x * w / fitted.width;
            const std::uint32_t top = y * h / fitted.height;
            const std::uint32_t wide = std::max((x + 1) * w / fitted.width - left, 1u);
            const std::uint32_t high = std::max((y + 1) * h / fitted.height - top, 1u);
            std::array<std::uint32_t, 3> sums{};
            for (std::uint32_t tap = 0; tap < 16; ++tap) {
                const std::uint32_t pixel = frame.at(left + (2 * (tap % 4) + 1) * wide / 8,
                                                     top + (2 * (tap / 4) + 1) * high / 8);
                for (std::size_t c = 0; c < 3; ++c)
                    sums[c] += pixel >> (8 * c) & 0xff;
            }
            std::uint32_t mean = black;
            for (std::size_t c = 0; c < 3; ++c)
                mean |= (sums[c] + 8) / 16 << (8 * c);
            picture.bgra[std::size_t{y + (view.height - fitted.height) / 2} * view.width + x +
                         (view.width - fitted.width) / 2] = mean;
        }
    }
    return picture;
}

testing::AssertionResult same(const Pixels& found, const Pixels& expected) {
    if (found.size.width != expected.size.width || found.size.height != expected.size.height)
        return testing::AssertionFailure()
               << fmt::format("{}x{} instead of {}x{}", found.size.width, found.size.height,
                              expected.size.width, expected.size.height);
    for (std::uint32_t y = 0; y < found.size.height; ++y)
        for (std::uint32_t x = 0; x < found.size.width; ++x)
            if (found.at(x, y) != expected.at(x, y))
                return testing::AssertionFailure()
                       << fmt::format("pixel ({}, {}) is {:#x}, and must be {:#x}", x, y,
                                      found.at(x, y), expected.at(x, y));
    return testing::AssertionSuccess();
}

class FrameViewTest : public testing::Test {
protected:
    void SetUp() override {
        // The layer leaks when it is unloaded. Kept loaded, it can be named in a suppression.
        ::dlopen("libVkLayer_khronos_validation.so", RTLD_LAZY | RTLD_NODELETE);
        instance_ = std::make_shared<const VulkanInstance>(true);
        if (instance_->devices().empty())
            GTEST_SKIP() << "no Vulkan driver has a device";
        device_ = std::make_unique<GpuDevice>(instance_, instance_->devices().front());
        views_ = std::make_unique<FrameViews>(*device_);
        heap_ = open_heap(usable_heaps().at(0));
    }

    void TearDown() override {
        views_.reset();
        device_.reset();
        if (instance_) {
            EXPECT_EQ(instance_->validation().count(), 0u) << instance_->validation().first();
        }
    }

    std::vector<DmaBuf> slots_of(const FrameLayout& layout, std::size_t count) {
        return allocate_slots(*heap_, layout, count, meter_);
    }

    static void fill(const DmaBuf& slot, const FrameLayout& layout, const Pixels& frame) {
        const Mapping mapping = slot.map(Access::write);
        const CpuAccess access(slot, Access::write);
        for (std::uint32_t y = 0; y < layout.height; ++y)
            std::memcpy(mapping.bytes().data() + layout.pixel_offset +
                            std::size_t{y} * layout.stride,
                        &frame.bgra[std::size_t{y} * layout.width],
                        std::size_t{layout.width} * bytes_per_pixel);
    }

    Pixels read(std::size_t view) {
        const FrameViews::Picture picture = views_->picture(view);
        Pixels pixels{{picture.width, picture.height},
                      std::vector<std::uint32_t>(std::size_t{picture.width} * picture.height)};
        const HostBuffer buffer(*device_, pixels.bgra.size() * bytes_per_pixel,
                                vk::BufferUsageFlagBits::eTransferDst);
        Commands copy(*device_);
        const vk::raii::CommandBuffer& commands = copy.begin();
        commands.copyImageToBuffer(
            picture.image, copied_from.layout, *buffer.buffer,
            vk::BufferImageCopy(0, 0, 0, image_layer, {}, {picture.width, picture.height, 1}));
        const vk::MemoryBarrier2 to_host(copied_to.stage, copied_to.access,
                                         vk::PipelineStageFlagBits2::eHost,
                                         vk::AccessFlagBits2::eHostRead);
        commands.pipelineBarrier2(vk::DependencyInfo({}, to_host));
        copy.submit();
        copy.finish();
        std::memcpy(pixels.bgra.data(), buffer.bytes.data(), buffer.bytes.size());
        return pixels;
    }

    std::shared_ptr<const VulkanInstance> instance_;
    std::unique_ptr<GpuDevice> device_;
    std::unique_ptr<FrameViews> views_;
    std::unique_ptr<Heap> heap_;
    ExposureMeter meter_;
};

TEST_F(FrameViewTest, EveryPixelIsTheAverageOfWhatItCovers) {
    for (const Size size : {Size{1920, 1080}, Size{640, 480}, Size{333, 77}, Size{1, 1},
                            Size{1, 300}, Size{2000, 3}}) {
        const FrameLayout layout = plain_frame_layout(size.width, size.height);
        const auto slots = slots_of(layout, 1);
        const Pixels frame = scene_frame(Scene::noise, 5, size);
        fill(slots[0], layout, frame);
        const auto viewed = views_->import(slots, layout);
        for (const Size view : {Size{410, 231}, Size{640, 360}, Size{960, 540}, Size{1919, 1079},
                                Size{1, 1}, Size{7, 300}, Size{700, 500}}) {
            SCOPED_TRACE(
                fmt::format("{}x{} in {}x{}", size.width, size.height, view.width, view.height));
            views_->resize(0, view.width, view.height);
            views_->draw(0, *viewed, 0);
            EXPECT_TRUE(same(read(0), reference(frame, view)));
        }
    }
}

TEST_F(FrameViewTest, AMultipleOfTheFrameStaysSharp) {
    const FrameLayout layout = plain_frame_layout(160, 90);
    const auto slots = slots_of(layout, 1);
    const Pixels frame = scene_frame(Scene::test_card, 9, {160, 90});
    fill(slots[0], layout, frame);
    const auto viewed = views_->import(slots, layout);
    views_->resize(0, 500, 280); // three times, and black around it
    views_->draw(0, *viewed, 0);
    const Pixels picture = read(0);
    EXPECT_TRUE(same(picture, reference(frame, {500, 280})));
    EXPECT_EQ(picture.at(0, 0), black);
    EXPECT_EQ(picture.at(10, 5), frame.at(0, 0));
    EXPECT_EQ(picture.at(489, 274), frame.at(159, 89));
    EXPECT_EQ(picture.at(490, 275), black);
}

TEST_F(FrameViewTest, WhatIsImportedIsTheSlotItself) {
    const FrameLayout layout = plain_frame_layout(64, 64);
    const auto slots = slots_of(layout, 3);
    for (const ImportKind kind : {ImportKind::dma_buf, ImportKind::host_pointer}) {
        const auto viewed = views_->import(slots, layout, kind);
        EXPECT_EQ(viewed->import(), kind);
        ASSERT_EQ(viewed->imported().size(), slots.size());
        views_->resize(0, 64, 64);
        for (std::uint32_t i = 0; i < slots.size(); ++i) {
            EXPECT_EQ(viewed->imported()[i], slots[i].identity());
            // Written after the import, and seen.
            const Pixels frame =
                scene_frame(Scene::noise, 100 * i + (kind == ImportKind::dma_buf), {64, 64});
            fill(slots[i], layout, frame);
            views_->draw(0, *viewed, i);
            EXPECT_TRUE(same(read(0), frame));
        }
    }
    EXPECT_EQ(views_->import(slots, layout)->import(), ImportKind::dma_buf);
    EXPECT_EQ(views_->import(slots, layout)->import_reason(), "");
    EXPECT_EQ(views_->import(slots, layout, ImportKind::host_pointer)->import_reason(),
              "asked for");
}

TEST_F(FrameViewTest, FramesThatAGpuHasDrawn) {
    const auto index = first_gpu(*heap_, {});
    if (!index)
        GTEST_SKIP() << refusals(*heap_, {});
    Gpu gpu(*index, *heap_, {});
    const FrameLayout layout = gpu.frame_layout(1280, 720);
    const auto slots = slots_of(layout, 2);
    const auto source = gpu.make_source(slots, layout, Scene::waves, seed);
    const auto viewed = views_->import(slots, layout);
    views_->resize(0, 410, 231);
    for (std::uint32_t i = 0; i < 6; ++i) {
        source->begin(i % 2, {.sequence = i});
        ASSERT_TRUE(source->wait(i % 2, patience));
        views_->draw(0, *viewed, i % 2);
        EXPECT_TRUE(
            same(read(0), reference(scene_frame(Scene::waves, i, {1280, 720}), {410, 231})));
    }
}

TEST_F(FrameViewTest, AResizedViewKeepsItsPictureUntilTheNextFrame) {
    const FrameLayout layout = plain_frame_layout(64, 48);
    const auto slots = slots_of(layout, 1);
    const Pixels frame = scene_frame(Scene::noise, 1, {64, 48});
    fill(slots[0], layout, frame);
    const auto viewed = views_->import(slots, layout);
    EXPECT_FALSE(views_->picture(0).image);
    views_->draw(0, *viewed, 0); // nowhere to draw
    EXPECT_FALSE(views_->picture(0).image);
    views_->resize(0, 128, 96);
    EXPECT_FALSE(views_->picture(0).image);
    views_->draw(0, *viewed, 0);
    const vk::Image image = views_->picture(0).image;
    views_->resize(0, 128, 96);
    views_->draw(0, *viewed, 0);
    EXPECT_EQ(views_->picture(0).image, image) << "nothing has changed";
    views_->resize(0, 32, 24);
    EXPECT_TRUE(same(read(0), reference(frame, {128, 96})));
    views_->resize(0, 0, 0);
    views_->draw(0, *viewed, 0);
    EXPECT_TRUE(same(read(0), reference(frame, {128, 96})));
    views_->resize(0, 32, 24);
    views_->draw(0, *viewed, 0);
    EXPECT_TRUE(same(read(0), reference(frame, {32, 24})));
    EXPECT_GT(views_->time(), 0);
}

TEST_F(FrameViewTest, SeveralPathsOfDifferentFrames) {
    struct Path {
        Size size;
        Size view;
        FrameLayout layout;
        std::vector<DmaBuf> slots;
        std::shared_ptr<const ViewedSlots> viewed;
    };
    std::vector<Path> paths;
    for (const auto& [size, view] :
         {std::pair{Size{320, 200}, Size{100, 70}}, std::pair{Size{64, 64}, Size{300, 200}},
          std::pair{Size{1000, 10}, Size{100, 70}}}) {
        Path& path = paths.emplace_back(
            Path{size, view, plain_frame_layout(size.width, size.height), {}, nullptr});
        path.slots = slots_of(path.layout, 2);
        path.viewed = views_->import(path.slots, path.layout);
        views_->resize(paths.size() - 1, view.width, view.height);
    }
    for (std::uint32_t round = 0; round < 4; ++round) {
        for (std::size_t i = 0; i < paths.size(); ++i) {
            fill(paths[i].slots[round % 2], paths[i].layout,
                 scene_frame(Scene::noise, 10 * round + i, paths[i].size));
            views_->draw(i, *paths[i].viewed, round % 2);
        }
        for (std::size_t i = 0; i < paths.size(); ++i)
            EXPECT_TRUE(
                same(read(i), reference(scene_frame(Scene::noise, 10 * round + i, paths[i].size),
                                        paths[i].view)));
    }
}

TEST_F(FrameViewTest, OutlivesTheDmaBufs) {
    const FrameLayout layout = plain_frame_layout(64, 64);
    const Pixels frame = scene_frame(Scene::waves, 3, {64, 64});
    for (const ImportKind kind : {ImportKind::dma_buf, ImportKind::host_pointer}) {
        std::shared_ptr<const ViewedSlots> viewed;
        {
            // Private memory: shared memory is zeroed when it goes.
            std::vector<DmaBuf> slots;
            slots.push_back(
                open_heap("memfd")->allocate(layout.slot_bytes, Exposure::private_memory, meter_));
            fill(slots[0], layout, frame);
            try {
                viewed = views_->import(slots, layout, kind);
            } catch (const Error& error) {
                GTEST_SKIP() << error.what();
            }
        }
        views_->resize(0, 64, 64);
        views_->draw(0, *viewed, 0);
        EXPECT_TRUE(same(read(0), frame));
    }
}

TEST_F(FrameViewTest, GivesEverythingBack) {
    const FrameLayout layout = plain_frame_layout(64, 64);
    const auto slots = slots_of(layout, 4);
    views_->import(slots, layout);
    const std::size_t before = test::open_descriptors();
    for (int i = 0; i < 20; ++i) {
        const auto viewed = views_->import(slots, layout);
        views_->resize(0, 64 + 32 * (i % 2), 64);
        views_->draw(0, *viewed, 3);
    }
    EXPECT_EQ(test::open_descriptors(), before);
}

TEST_F(FrameViewTest, SaysWhyItCannotImport) {
    const FrameLayout layout = plain_frame_layout(64, 64);
    const auto slots = slots_of(layout, 1);
    const FrameLayout larger = plain_frame_layout(640, 64);
    try {
        views_->import(slots, larger);
        FAIL() << "a frame larger than its slot was imported";
    } catch (const Error& error) {
        EXPECT_EQ(error.failure(), Failure::unavailable);
        EXPECT_NE(std::string(error.what()).find("a frame needs"), std::string::npos)
            << error.what();
    }
    const FrameLayout huge = plain_frame_layout(max_frame_side, max_frame_side);
    if (huge.pixel_bytes() > device_->limits().maxStorageBufferRange) {
        EXPECT_THROW(views_->import(slots, huge), Error);
    }
}

TEST_F(FrameViewTest, ImportsOnAnotherThreadWhileItDraws) {
    const FrameLayout layout = plain_frame_layout(64, 64);
    const auto slots = slots_of(layout, 2);
    const Pixels frame = scene_frame(Scene::noise, 1, {64, 64});
    fill(slots[0], layout, frame);
    const auto viewed = views_->import(slots, layout);
    std::atomic<bool> stop = false;
    std::thread other([&] {
        while (!stop)
            views_->import(slots, layout);
    });
    views_->resize(0, 64, 64);
    for (int i = 0; i < 50; ++i)
        views_->draw(0, *viewed, 0);
    stop = true;
    other.join();
    EXPECT_TRUE(same(read(0), frame));
}

} // namespace
} // namespace clearframe
