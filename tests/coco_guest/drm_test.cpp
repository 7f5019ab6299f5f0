// The DRM drivers of the guest as importers of real heaps' memory, down to what their screens show.
#include "coco_guest/drm.h"
#include "coco_guest/support.h"
#include "gpu/scene.h"
#include "unit/gpu/gpu_support.h"

#include <fmt/format.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

namespace clearframe::guest {
namespace {

constexpr std::uint32_t seed = 7;

class DrmTest : public GuestTest {};

TEST_F(DrmTest, EveryCardImportsEveryHeap) {
    for (const char* driver : {"vgem", "vkms", "bochs-drm"})
        for (const char* heap : {shared_heap, "system", "udmabuf"}) {
            SCOPED_TRACE(fmt::format("{} into {}", heap, driver));
            const Card card(driver);
            const DmaBuf buffer = allocate(heap, 1 << 20);
            const ImportedBuffer imported(card, buffer.fd());
            // What the card gives out again is the very same buffer.
            EXPECT_EQ(BufferIdentity::of(imported.exported().get()), buffer.identity());
        }
}

TEST_F(DrmTest, AnImportHoldsTheBufferAndLetsGo) {
    const Card card("vkms");
    const BufferCount before = dma_bufs();
    {
        const ImportedBuffer imported(card, allocate(shared_heap, 1 << 20).fd());
        EXPECT_EQ(dma_bufs(), (BufferCount{before.objects + 1, before.bytes + (1 << 20)}));
    }
    EXPECT_EQ(dma_bufs(), before);
}

// The checksum of what a vkms screen shows, which its driver makes of the pixels it scans out.
std::string scanned_out_crc(const Card& card) {
    const std::string folder = card.debug_folder() + "/crtc-0/crc/";
    write_file(folder + "control", "auto");
    const UniqueFd data(::open((folder + "data").c_str(), O_RDONLY | O_CLOEXEC));
    if (!data)
        throw_errno(errno, fmt::format("opening {}data", folder));
    char line[64] = "";
    const ssize_t bytes = ::read(data.get(), line, sizeof line - 1); // waits for a frame
    if (bytes <= 0)
        throw_errno(errno, fmt::format("reading {}data", folder));
    return std::string(line, static_cast<std::size_t>(bytes)).substr(sizeof "0x00000000");
}

TEST_F(DrmTest, VkmsScansOutTheBytesOfTheHeap) {
    const Card card("vkms");
    Screen screen(card);
    const DumbBuffer plain(card, screen.width(), screen.height());
    const PixelLayout& layout = plain.layout();
    const std::size_t bytes = std::size_t{layout.stride} * layout.height;
    const DmaBuf buffer = allocate(shared_heap, bytes);
    const ImportedBuffer imported(card, buffer.fd());
    const Framebuffer shared(card, imported.handle(), layout);
    const Framebuffer ordinary(card, plain.handle(), layout);
    const Mapping mapping = buffer.map(Access::read_write);
    {
        const CpuAccess access(buffer, Access::write);
        fill_pattern(mapping.bytes(), seed);
    }
    std::memcpy(plain.pixels(), mapping.bytes().data(), bytes);

    screen.show(shared);
    const std::string crc = scanned_out_crc(card);
    screen.show(ordinary);
    EXPECT_EQ(crc, scanned_out_crc(card));
    {
        const CpuAccess access(buffer, Access::write);
        mapping.bytes()[bytes / 2] ^= std::byte{0x80};
    }
    screen.show(shared);
    EXPECT_NE(crc, scanned_out_crc(card)) << "one bit of one pixel is different";
}

// From the GPU to the screen in one buffer of the heap, with no copy of this program's: llvmpipe
// draws into it, bochs scans it out, and QEMU's picture of that screen is what the CPU computes.
TEST_F(DrmTest, BochsShowsWhatVulkanRendered) {
    const Card card("bochs-drm");
    Screen screen(card);
    const auto heap = open_heap(shared_heap);
    const auto index = first_gpu(*heap, {});
    ASSERT_TRUE(index) << refusals(*heap, {});
    Gpu gpu(*index, *heap, {});
    const FrameLayout layout = gpu.frame_layout(screen.width(), screen.height());
    const std::vector<DmaBuf> slots = allocate_slots(*heap, layout, 1, meter_);
    const ImportedBuffer imported(card, slots[0].fd());
    const Framebuffer framebuffer(card, imported.handle(),
                                  {.width = layout.width,
                                   .height = layout.height,
                                   .stride = layout.stride,
                                   .offset = static_cast<std::uint32_t>(layout.pixel_offset)});
    for (const auto& [scene, sequence] :
         {std::pair{Scene::test_card, std::uint64_t{3}}, {Scene::noise, 4}}) {
        const auto source = gpu.make_source(slots, layout, scene, seed);
        EXPECT_EQ(gpu.imported()[0], slots[0].identity());
        source->begin(0, {.sequence = sequence, .time_ns = 1});
        ASSERT_TRUE(source->wait(0, patience));
        EXPECT_TRUE(picture_is(slots[0], layout, scene, seed, sequence)) << "as the CPU sees it";
        screen.show(framebuffer);
        const std::string name = fmt::format("screen-{}.ppm", sequence);
        EXPECT_TRUE(
            shows(screen_dump(name), screen.width(), screen.height(), scene, seed, sequence))
            << "as the screen shows it";
    }
}

} // namespace
} // namespace clearframe::guest
