// Soft-RoCE with the guest kernel's dma-bufs: what a hardware NIC does with the heaps' memory in a
// confidential guest, with real verbs.
#include "coco_guest/rdma.h"
#include "coco_guest/support.h"
#include "memory/dma_buf.h"

#include <errno.h>

#include <memory>
#include <vector>

namespace clearframe::guest {
namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t frame_size = 8 << 20;
constexpr std::uint64_t cc_dma_bounce = std::uint64_t{1} << 41; // IBV_DEVICE_CC_DMA_BOUNCE
constexpr std::uint64_t iova = 0x10000000;

class RdmaTest : public GuestTest {
protected:
    void SetUp() override {
        GuestTest::SetUp();
        if (!IsSkipped())
            make_soft_roce();
    }
};

// The errno of a registration that is refused; 0 if it is not.
int refusal(const ibv_mr* region) { return region ? 0 : errno; }
int refusal_of(const Rdma& rdma, int fd, std::uint64_t offset, std::size_t length,
               std::uint64_t address = iova, int access = full_access) {
    const Region region(ibv_reg_dmabuf_mr(rdma.pd(), offset, length, address, fd, access));
    return refusal(region.get());
}

TEST_F(RdmaTest, AMappingOfTheHeapCannotBePinned) {
    const Rdma rdma;
    for (const char* heap : {shared_heap, "system"}) {
        const DmaBuf buffer = allocate(heap, frame_size);
        const Mapping mapping = buffer.map(Access::read_write);
        const Region region(
            ibv_reg_mr(rdma.pd(), mapping.bytes().data(), mapping.bytes().size(), full_access));
        EXPECT_EQ(refusal(region.get()), EFAULT) << heap;
    }
    std::vector<std::byte> ordinary(frame_size);
    const Region region(ibv_reg_mr(rdma.pd(), ordinary.data(), ordinary.size(), full_access));
    EXPECT_EQ(refusal(region.get()), 0) << "ordinary memory can be";
}

TEST_F(RdmaTest, WritesFromOneSharedBufferToAnother) {
    const Rdma rdma;
    Connection connection(rdma);
    const DmaBuf source = allocate(shared_heap, frame_size);
    const DmaBuf target = allocate(shared_heap, frame_size);
    const Mapping seen = target.map(Access::read);
    {
        const Mapping mapping = source.map(Access::write);
        const CpuAccess access(source, Access::write);
        fill_pattern(mapping.bytes(), 3);
    }
    const Region from(
        ibv_reg_dmabuf_mr(rdma.pd(), 0, source.size(), iova, source.fd(), full_access));
    const Region to(ibv_reg_dmabuf_mr(rdma.pd(), 0, target.size(), iova, target.fd(), full_access));
    ASSERT_TRUE(from && to) << errno_text(errno);
    ASSERT_EQ(connection.write(*from, iova, *to, iova, frame_size), IBV_WC_SUCCESS);
    const CpuAccess access(target, Access::read);
    EXPECT_EQ(pattern_mismatch(seen.bytes(), 3), -1);
}

// A region of a part of the buffer, which begins in the middle of a page.
TEST_F(RdmaTest, APartOfABufferIsThatPart) {
    constexpr std::size_t offset = 5 * page + 100, length = 3 * page;
    const Rdma rdma;
    Connection connection(rdma);
    const DmaBuf source = allocate(shared_heap, 16 * page);
    const DmaBuf target = allocate(shared_heap, 16 * page);
    const Mapping seen = target.map(Access::read);
    {
        const Mapping mapping = source.map(Access::write);
        const CpuAccess access(source, Access::write);
        fill_pattern(mapping.bytes(), 4);
    }
    const Region from(ibv_reg_dmabuf_mr(rdma.pd(), offset, length, iova + 100, source.fd(),
                                        IBV_ACCESS_LOCAL_WRITE));
    const Region to(ibv_reg_dmabuf_mr(rdma.pd(), 0, target.size(), 0, target.fd(), full_access));
    ASSERT_TRUE(from && to) << errno_text(errno);
    ASSERT_EQ(connection.write(*from, iova + 100, *to, 0, length), IBV_WC_SUCCESS);
    const CpuAccess access(target, Access::read);
    EXPECT_EQ(pattern_mismatch(seen.bytes().first(length), 4, offset), -1);
    for (const std::byte byte : seen.bytes().subspan(length))
        ASSERT_EQ(byte, std::byte{0});
}

TEST_F(RdmaTest, AWriteBeyondTheRegionIsRefused) {
    const Rdma rdma;
    const DmaBuf buffer = allocate(shared_heap, 16 * page);
    const Region from(ibv_reg_dmabuf_mr(rdma.pd(), 0, 16 * page, iova, buffer.fd(), full_access));
    const Region to(ibv_reg_dmabuf_mr(rdma.pd(), 0, 8 * page, iova, buffer.fd(), full_access));
    ASSERT_TRUE(from && to) << errno_text(errno);
    Connection connection(rdma);
    EXPECT_EQ(connection.write(*from, iova, *to, iova + 8 * page - 1, 2), IBV_WC_REM_ACCESS_ERR);
}

TEST_F(RdmaTest, RegistrationChecksItsRange) {
    const Rdma rdma;
    const DmaBuf buffer = allocate(shared_heap, 16 * page);
    const BufferCount before = dma_bufs();
    EXPECT_EQ(refusal_of(rdma, buffer.fd(), 0, 16 * page), 0);
    EXPECT_EQ(refusal_of(rdma, buffer.fd(), 0, 16 * page + 1), EINVAL);
    EXPECT_EQ(refusal_of(rdma, buffer.fd(), 16 * page, 1), EINVAL);
    EXPECT_EQ(refusal_of(rdma, buffer.fd(), page, 16 * page), EINVAL);
    EXPECT_EQ(refusal_of(rdma, buffer.fd(), ~std::uint64_t{0} << 12, 2 * page), EINVAL);
    EXPECT_EQ(refusal_of(rdma, buffer.fd(), 0, 2 * page, ~std::uint64_t{0} << 12), EINVAL);
    EXPECT_EQ(refusal_of(rdma, buffer.fd(), 0, 0), EINVAL);
    EXPECT_EQ(refusal_of(rdma, buffer.fd(), 1, page), EINVAL) << "iova is not as far in its page";
    EXPECT_EQ(refusal_of(rdma, STDERR_FILENO, 0, page), EINVAL) << "no dma-buf";
    EXPECT_EQ(refusal_of(rdma, 1000, 0, page), EBADF);
    EXPECT_EQ(dma_bufs(), before);
}

TEST_F(RdmaTest, ARegionHoldsTheBufferUntilItIsGivenUp) {
    const Rdma rdma;
    const BufferCount before = dma_bufs();
    for (int round = 0; round < 20; ++round) {
        Region region;
        {
            const DmaBuf buffer = allocate(shared_heap, frame_size);
            region.reset(
                ibv_reg_dmabuf_mr(rdma.pd(), 0, frame_size, iova, buffer.fd(), full_access));
        }
        ASSERT_TRUE(region) << errno_text(errno);
        EXPECT_EQ(dma_bufs().objects, before.objects + 1);
        region.reset();
        ASSERT_EQ(dma_bufs(), before);
    }
}

TEST_F(RdmaTest, AProcessThatEndsGivesUpItsRegions) {
    const BufferCount before = dma_bufs();
    EXPECT_EXIT(
        {
            const Rdma rdma;
            const DmaBuf buffer = allocate(shared_heap, frame_size);
            const ibv_mr* region =
                ibv_reg_dmabuf_mr(rdma.pd(), 0, frame_size, iova, buffer.fd(), full_access);
            if (region && dma_bufs().objects == before.objects + 1)
                ::raise(SIGKILL);
        },
        testing::KilledBySignal(SIGKILL), "");
    EXPECT_EQ(dma_bufs(), before);
}

TEST_F(RdmaTest, TakesOrdinaryMemoryUnlessItBounces) {
    const Rdma rdma;
    EXPECT_FALSE(rdma.capabilities() & cc_dma_bounce);
}

TEST_F(RdmaTest, WithBounceItTakesDmaBufsOnly) {
    make_soft_roce("--bounce");
    const Rdma rdma;
    EXPECT_TRUE(rdma.capabilities() & cc_dma_bounce);
    std::vector<std::byte> ordinary(frame_size);
    const Region region(ibv_reg_mr(rdma.pd(), ordinary.data(), ordinary.size(), full_access));
    EXPECT_EQ(refusal(region.get()), EOPNOTSUPP);
    const DmaBuf buffer = allocate(shared_heap, frame_size);
    EXPECT_EQ(refusal_of(rdma, buffer.fd(), 0, frame_size), 0);
}

} // namespace
} // namespace clearframe::guest
