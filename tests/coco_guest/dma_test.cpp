// Real device DMA: what the kernel does to a dma-buf when a PCI device is to read and write it.
// From the heap `system` it goes through swiotlb's bounce buffers, from system_cc_shared directly.
#include "coco_guest/edu.h"
#include "coco_guest/support.h"
#include "memory/dma_buf.h"

#include <fmt/format.h>

#include <errno.h>

#include <algorithm>
#include <vector>

namespace clearframe::guest {
namespace {

constexpr std::size_t bounce_limit = 256 << 10; // the most that swiotlb maps at once
constexpr std::size_t bounce_slot = 2 << 10;
constexpr std::size_t sizes_within_limit[] = {16 << 10, bounce_limit};
constexpr std::size_t frame_size = 8 << 20;

// The CPU writes a pattern, the device copies its stretch at `from` to `to`, the CPU looks.
void expect_device_copies(Edu& edu, const DmaBuf& buffer, std::size_t from, std::size_t to,
                          std::uint32_t seed) {
    SCOPED_TRACE(fmt::format("from {} to {}", from, to));
    const Mapping mapping = buffer.map(Access::read_write);
    {
        const CpuAccess access(buffer, Access::write);
        fill_pattern(mapping.bytes(), seed);
    }
    ASSERT_EQ(edu.read(from, Edu::max_bytes), 0);
    {
        // What the device does not write back is not there.
        const CpuAccess access(buffer, Access::write);
        std::ranges::fill(mapping.bytes(), std::byte{0});
    }
    ASSERT_EQ(edu.write(to, Edu::max_bytes), 0);
    const CpuAccess access(buffer, Access::read);
    const std::span<const std::byte> written = mapping.bytes().subspan(to, Edu::max_bytes);
    EXPECT_EQ(pattern_mismatch(written, seed, from), -1);
    const auto is_zero = [](std::byte byte) { return byte == std::byte{0}; };
    EXPECT_TRUE(std::ranges::all_of(mapping.bytes().first(to), is_zero));
    EXPECT_TRUE(std::ranges::all_of(mapping.bytes().subspan(to + Edu::max_bytes), is_zero));
}

class DmaTest : public GuestTest {};

TEST_F(DmaTest, SystemHeapIsBounced) {
    for (const std::size_t size : sizes_within_limit) {
        SCOPED_TRACE(size);
        const DmaBuf buffer = allocate("system", size);
        const BounceTrace trace(Edu::pci_name());
        Edu edu;
        ASSERT_EQ(edu.map(buffer.fd()), 0);
        EXPECT_EQ(edu.mapped().direct, 0u);
        EXPECT_NE(edu.mapped().dma_address, edu.mapped().physical);
        EXPECT_EQ(trace.events(), edu.mapped().segments);
        EXPECT_GE(bounce_slots_used(), size / bounce_slot);
        expect_device_copies(edu, buffer, size - Edu::max_bytes, Edu::max_bytes, 1);
    }
}

TEST_F(DmaTest, SystemHeapLetsGoOfItsBounceBuffers) {
    const DmaBuf buffer = allocate("system", bounce_limit);
    Edu edu;
    ASSERT_EQ(edu.map(buffer.fd()), 0);
    const std::uint64_t mapped = bounce_slots_used();
    ASSERT_EQ(edu.unmap(), 0);
    // The other devices of the guest use some, too, in the meantime.
    EXPECT_LT(bounce_slots_used(), mapped - bounce_limit / bounce_slot / 2);
}

TEST_F(DmaTest, SystemHeapIsRefusedAboveSwiotlbsLimit) {
    // A frame comes as chunks of 1 MiB each.
    const DmaBuf buffer = allocate("system", frame_size);
    const BufferCount before = dma_bufs();
    const std::uint64_t used = bounce_slots_used();
    Edu edu;
    EXPECT_EQ(edu.map(buffer.fd()), EIO);
    EXPECT_EQ(edu.unmap(), EINVAL) << "nothing is held after a refusal";
    EXPECT_EQ(dma_bufs(), before);
    EXPECT_LT(bounce_slots_used(), used + bounce_limit / bounce_slot);
}

TEST_F(DmaTest, SharedHeapIsMappedDirectly) {
    for (const std::size_t size :
         {std::size_t{4 << 10}, sizes_within_limit[0], sizes_within_limit[1], frame_size}) {
        SCOPED_TRACE(size);
        const DmaBuf buffer = allocate(shared_heap, size);
        const BounceTrace trace(Edu::pci_name());
        const std::uint64_t used = bounce_slots_used();
        Edu edu;
        ASSERT_EQ(edu.map(buffer.fd()), 0);
        EXPECT_GT(edu.mapped().segments, 0u);
        EXPECT_EQ(edu.mapped().direct, edu.mapped().segments);
        EXPECT_EQ(edu.mapped().dma_address, edu.mapped().physical);
        // Directly even where one segment is more than swiotlb could take.
        if (size == frame_size) {
            EXPECT_GT(edu.mapped().largest, bounce_limit);
        }
        expect_device_copies(edu, buffer, size - Edu::max_bytes, 0, 2);
        EXPECT_EQ(trace.events(), 0u);
        EXPECT_LT(bounce_slots_used(), used + bounce_limit / bounce_slot);
    }
}

TEST_F(DmaTest, DeviceSeesTheCpusLatestBytes) {
    // No further call between the CPU's write and the device's read but the bracket's end.
    for (const char* heap : {"system", shared_heap}) {
        SCOPED_TRACE(heap);
        const DmaBuf buffer = allocate(heap, bounce_limit);
        Edu edu;
        ASSERT_EQ(edu.map(buffer.fd()), 0);
        for (std::uint32_t round = 0; round < 3; ++round)
            expect_device_copies(edu, buffer, 4096 * round, 64 << 10, round);
    }
}

TEST_F(DmaTest, ClosingTheDeviceLetsGo) {
    const BufferCount before = dma_bufs();
    Edu edu;
    {
        const DmaBuf buffer = allocate(shared_heap, frame_size);
        ASSERT_EQ(edu.map(buffer.fd()), 0);
    }
    EXPECT_EQ(dma_bufs(), (BufferCount{before.objects + 1, before.bytes + frame_size}))
        << "the device still holds it";
    edu = Edu();
    EXPECT_EQ(dma_bufs(), before);
}

TEST_F(DmaTest, DriverChecksWhatItIsGiven) {
    constexpr std::size_t size = 64 << 10;
    const DmaBuf buffer = allocate(shared_heap, size);
    Edu edu;
    EXPECT_EQ(edu.map(-1), EBADF);
    EXPECT_EQ(edu.map(STDERR_FILENO), EINVAL) << "not a dma-buf";
    EXPECT_EQ(edu.unmap(), EINVAL);
    EXPECT_EQ(edu.read(0, 1), EINVAL) << "nothing is mapped";
    ASSERT_EQ(edu.map(buffer.fd()), 0);
    EXPECT_EQ(edu.map(buffer.fd()), EBUSY);

    EXPECT_EQ(edu.read(0, 0), EINVAL);
    EXPECT_EQ(edu.read(0, Edu::max_bytes + 1), EINVAL);
    EXPECT_EQ(edu.write(size, 1), EINVAL);
    EXPECT_EQ(edu.write(size - 1, 2), EINVAL);
    EXPECT_EQ(edu.write(~std::uint64_t{0}, 1), EINVAL);
    EXPECT_EQ(edu.write(size - 1, 1), 0);
    EXPECT_EQ(edu.unmap(), 0);
    EXPECT_EQ(edu.unmap(), EINVAL);
}

} // namespace
} // namespace clearframe::guest
