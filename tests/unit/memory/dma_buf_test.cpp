#include "core/error.h"
#include "memory/dma_buf.h"
#include "memory/heap.h"
#include "unit/memory/support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <optional>

namespace clearframe {
namespace {

using test::NoDescriptors;
using test::open_descriptors;
using testing::AllOf;
using testing::HasSubstr;

constexpr std::size_t size = 12288; // 3 pages

class DmaBufTest : public testing::Test {
protected:
    DmaBuf allocate(Exposure exposure = Exposure::shared) {
        return heap_->allocate(size, exposure, meter_);
    }
    // A buffer around any other descriptor.
    DmaBuf wrap(UniqueFd fd, bool is_dma_buf = false) {
        return DmaBuf(std::move(fd), size, Exposure::shared, is_dma_buf, "odd", meter_);
    }

    std::unique_ptr<Heap> heap_ = open_heap("memfd");
    ExposureMeter meter_;
};

bool all_are(const Mapping& mapping, int value) {
    return std::ranges::all_of(mapping.bytes(),
                               [value](std::byte byte) { return byte == std::byte(value); });
}

std::string error_of(auto&& action) {
    try {
        action();
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

TEST_F(DmaBufTest, IdentityIsThatOfTheBufferAndNotOfTheDescriptor) {
    const DmaBuf one = allocate();
    const DmaBuf other = allocate();
    const UniqueFd copy = one.duplicate();
    EXPECT_NE(copy.get(), one.fd());
    EXPECT_EQ(BufferIdentity::of(copy.get()), one.identity());
    EXPECT_NE(one.identity(), other.identity());
}

TEST_F(DmaBufTest, IdentityOfNoDescriptorIsAnError) {
    EXPECT_THAT(error_of([] { BufferIdentity::of(-1); }), HasSubstr("EBADF"));
}

TEST_F(DmaBufTest, ABufferThatCannotBeBuiltLeavesNothingBehind) {
    EXPECT_THROW(wrap(UniqueFd()), Error);
    EXPECT_EQ(meter_.now_bytes(), 0u);
}

TEST_F(DmaBufTest, SharedMemoryIsZeroedBeforeItIsGivenBack) {
    std::optional<DmaBuf> buffer(allocate());
    const UniqueFd outlives = buffer->duplicate();
    const Mapping mapped_before = buffer->map(Access::read_write);
    std::ranges::fill(mapped_before.bytes(), std::byte(0xa5));
    buffer.reset();
    EXPECT_TRUE(all_are(mapped_before, 0));
    EXPECT_TRUE(all_are(Mapping(outlives.get(), size, Access::read, "test"), 0));
    EXPECT_EQ(meter_.now_bytes(), 0u);
    EXPECT_EQ(meter_.unzeroed_bytes(), 0u);
}

TEST_F(DmaBufTest, MovedBufferIsGivenBackOnce) {
    std::optional<DmaBuf> first(allocate());
    const int fd = first->fd();
    std::optional<DmaBuf> second(std::move(*first));
    std::ranges::fill(second->map(Access::write).bytes(), std::byte(0xa5));
    first.reset();
    EXPECT_EQ(second->fd(), fd);
    EXPECT_TRUE(all_are(second->map(Access::read), 0xa5));
    EXPECT_EQ(meter_.now_bytes(), size);
    second.reset();
    EXPECT_EQ(meter_.now_bytes(), 0u);
}

TEST_F(DmaBufTest, MemoryThatCannotBeMappedForZeroingIsCounted) {
    const std::size_t before = open_descriptors();
    { const DmaBuf unmappable = wrap(UniqueFd(open("/", O_RDONLY | O_CLOEXEC))); }
    EXPECT_EQ(meter_.unzeroed_bytes(), size);
    EXPECT_EQ(meter_.now_bytes(), 0u);
    EXPECT_EQ(open_descriptors(), before);
}

TEST_F(DmaBufTest, SyncOfWhatIsNoDmaBufIsAnError) {
    UniqueFd memfd(memfd_create("test", MFD_CLOEXEC));
    ASSERT_EQ(ftruncate(memfd.get(), size), 0);
    {
        const DmaBuf mislabelled = wrap(std::move(memfd), true);
        EXPECT_THAT(error_of([&] { const CpuAccess access(mislabelled, Access::read); }),
                    AllOf(HasSubstr("odd"), HasSubstr("DMA_BUF_IOCTL_SYNC"), HasSubstr("ENOTTY")));
    }
    EXPECT_EQ(meter_.unzeroed_bytes(), size);
}

TEST_F(DmaBufTest, MappingOutlivesItsBuffer) {
    Mapping mapping;
    EXPECT_TRUE(mapping.bytes().empty());
    {
        const DmaBuf buffer = allocate(Exposure::private_memory);
        mapping = buffer.map(Access::read_write);
    }
    ASSERT_EQ(mapping.bytes().size(), size);
    std::ranges::fill(mapping.bytes(), std::byte(1));

    Mapping& same = mapping;
    mapping = std::move(same);
    EXPECT_TRUE(all_are(mapping, 1));
    const Mapping moved(std::move(mapping));
    EXPECT_TRUE(mapping.bytes().empty()); // NOLINT(bugprone-use-after-move): on purpose
    EXPECT_TRUE(all_are(moved, 1));
}

TEST_F(DmaBufTest, MappingErrorsNameTheObjectAndTheWayOut) {
    const DmaBuf buffer = allocate();
    EXPECT_THAT(
        error_of([&] { Mapping(buffer.fd(), std::size_t{1} << 47, Access::read, "frame 7"); }),
        AllOf(HasSubstr("frame 7"), HasSubstr("ENOMEM"), HasSubstr("--ring")));
    const DmaBuf unmappable = wrap(UniqueFd(open("/", O_RDONLY | O_CLOEXEC)));
    EXPECT_THAT(error_of([&] { unmappable.map(Access::read); }),
                AllOf(HasSubstr("heap odd"), HasSubstr("ENODEV")));
}

TEST_F(DmaBufTest, NoDescriptorLeftForADuplicate) {
    const DmaBuf buffer = allocate();
    const std::size_t before = open_descriptors();
    {
        const NoDescriptors none;
        EXPECT_THAT(error_of([&] { buffer.duplicate(); }),
                    AllOf(HasSubstr("memfd"), HasSubstr("EMFILE"), HasSubstr("ulimit -n")));
    }
    EXPECT_EQ(open_descriptors(), before);
}

TEST_F(DmaBufTest, ZeroingNeedsNoDescriptor) {
    std::optional<DmaBuf> buffer(allocate());
    const NoDescriptors none;
    buffer.reset();
    EXPECT_EQ(meter_.unzeroed_bytes(), 0u);
}

} // namespace
} // namespace clearframe
