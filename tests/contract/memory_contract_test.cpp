// What every heap promises, held against each that this machine has.
#include "core/error.h"
#include "memory/heap.h"
#include "unit/memory/support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <thread>

namespace clearframe {
namespace {

using test::FileSizeLimit;
using test::NoDescriptors;
using test::open_descriptors;
using testing::AllOf;
using testing::HasSubstr;

class HeapContract : public testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        for (const Candidate& candidate : probe_heaps()) {
            if (candidate.name != GetParam())
                continue;
            if (!candidate.usable)
                GTEST_SKIP() << "heap " << candidate.name << ": " << candidate.refusal;
            heap_ = open_heap(candidate.name);
            return;
        }
        FAIL() << "probe_heaps() does not know " << GetParam();
    }

    DmaBuf allocate(std::size_t bytes) { return heap_->allocate(bytes, Exposure::shared, meter_); }
    void expect_refused(std::size_t bytes, Exposure exposure) {
        try {
            heap_->allocate(bytes, exposure, meter_);
            ADD_FAILURE() << "allocated " << bytes << " bytes";
        } catch (const Error& error) {
            EXPECT_THAT(error.what(), HasSubstr(heap_->name()));
        }
        EXPECT_EQ(meter_.now_bytes(), 0u);
    }

    const std::size_t page_ = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    std::unique_ptr<Heap> heap_;
    ExposureMeter meter_;
};

bool all_zero(const Mapping& mapping) {
    return std::ranges::all_of(mapping.bytes(), [](std::byte b) { return b == std::byte{0}; });
}

TEST_P(HeapContract, SaysWhatItIs) {
    EXPECT_EQ(heap_->name(), GetParam());
    EXPECT_EQ(heap_->is_shared_heap(), heap_->name().starts_with("system_cc"));
    const DmaBuf buffer = allocate(1);
    EXPECT_EQ(buffer.heap(), heap_->name());
    EXPECT_EQ(buffer.is_dma_buf(), heap_->makes_dma_bufs());
    EXPECT_EQ(buffer.exposure(), Exposure::shared);
}

TEST_P(HeapContract, RoundsUpToWholePages) {
    EXPECT_EQ(allocate(1).size(), page_);
    EXPECT_EQ(allocate(page_).size(), page_);
    EXPECT_EQ(allocate(page_ + 1).size(), 2 * page_);
    const DmaBuf odd = allocate(3'000'001);
    EXPECT_EQ(odd.size() % page_, 0u);
    EXPECT_EQ(odd.map(Access::read).bytes().size(), odd.size());
}

TEST_P(HeapContract, IsZeroedOnArrival) {
    constexpr std::size_t bytes = 4 << 20;
    const Exposure exposure = heap_->is_shared_heap() ? Exposure::shared : Exposure::private_memory;
    for (int use = 0; use < 3; ++use) {
        const DmaBuf buffer = heap_->allocate(bytes, exposure, meter_);
        const Mapping mapping = buffer.map(Access::read_write);
        const CpuAccess access(buffer, Access::read_write);
        EXPECT_TRUE(all_zero(mapping));
        std::ranges::fill(mapping.bytes(), std::byte{0xff});
    }
}

TEST_P(HeapContract, IdentityIsTheBuffers) {
    const DmaBuf one = allocate(1);
    const DmaBuf other = allocate(1);
    const UniqueFd copy = one.duplicate();
    EXPECT_EQ(BufferIdentity::of(one.fd()), one.identity());
    EXPECT_EQ(BufferIdentity::of(copy.get()), one.identity());
    EXPECT_NE(one.identity(), other.identity());
}

TEST_P(HeapContract, OneMappingSeesWhatAnotherWrites) {
    const DmaBuf buffer = allocate(3 * page_);
    const UniqueFd copy = buffer.duplicate();
    const Mapping writing = buffer.map(Access::write);
    const Mapping reading(copy.get(), buffer.size(), Access::read, "test");
    {
        const CpuAccess access(buffer, Access::write);
        for (std::size_t i = 0; i < buffer.size(); ++i)
            writing.bytes()[i] = std::byte(i * 7);
    }
    const CpuAccess access(buffer, Access::read);
    for (std::size_t i = 0; i < buffer.size(); ++i)
        ASSERT_EQ(reading.bytes()[i], std::byte(i * 7)) << i;
}

TEST_P(HeapContract, SyncBracketsNestAndRepeat) {
    const DmaBuf buffer = allocate(1);
    for (const Access outer : {Access::read, Access::write, Access::read_write}) {
        const CpuAccess one(buffer, outer);
        const CpuAccess two(buffer, Access::read);
    }
}

TEST_P(HeapContract, DescriptorsCloseOnExec) {
    const DmaBuf buffer = allocate(1);
    const UniqueFd copy = buffer.duplicate();
    EXPECT_TRUE(fcntl(buffer.fd(), F_GETFD) & FD_CLOEXEC);
    EXPECT_TRUE(fcntl(copy.get(), F_GETFD) & FD_CLOEXEC);
}

TEST_P(HeapContract, RefusesImpossibleSizes) {
    const FileSizeLimit spare_the_machine(1 << 30); // should this test ever fail
    for (const std::size_t bytes :
         {std::size_t{0}, std::size_t{1} << 46, std::size_t{PTRDIFF_MAX}, std::size_t{SIZE_MAX}})
        expect_refused(bytes, Exposure::shared);
}

TEST_P(HeapContract, SharedHeapIsNeverPrivate) {
    if (heap_->is_shared_heap())
        return expect_refused(page_, Exposure::private_memory);
    const DmaBuf buffer = heap_->allocate(page_, Exposure::private_memory, meter_);
    EXPECT_EQ(buffer.exposure(), Exposure::private_memory);
    EXPECT_EQ(meter_.now_bytes(), 0u);
}

TEST_P(HeapContract, SharedMemoryIsZeroedBeforeItIsGivenBack) {
    UniqueFd outlives;
    std::size_t size = 0;
    {
        const DmaBuf buffer = allocate(2 * page_);
        size = buffer.size();
        outlives = buffer.duplicate();
        const Mapping mapping = buffer.map(Access::write);
        const CpuAccess access(buffer, Access::write);
        std::ranges::fill(mapping.bytes(), std::byte{0xa5});
    }
    EXPECT_TRUE(all_zero(Mapping(outlives.get(), size, Access::read, "test")));
    EXPECT_EQ(meter_.unzeroed_bytes(), 0u);
}

TEST_P(HeapContract, LeavesNothingBehind) {
    const std::size_t before = open_descriptors();
    {
        std::vector<DmaBuf> ring;
        ring.reserve(8);
        for (int i = 0; i < 8; ++i)
            ring.push_back(allocate(1 << 20));
        EXPECT_EQ(meter_.now_bytes(), 8u << 20);
    }
    EXPECT_EQ(meter_.now_bytes(), 0u);
    EXPECT_EQ(meter_.peak_bytes(), 8u << 20);
    EXPECT_EQ(open_descriptors(), before);
}

TEST_P(HeapContract, NoDescriptorLeft) {
    const std::size_t before = open_descriptors();
    std::string text;
    {
        const NoDescriptors none;
        try {
            allocate(1);
        } catch (const Error& error) {
            text = error.what();
        }
    }
    EXPECT_THAT(text, AllOf(HasSubstr("heap " + heap_->name()), HasSubstr("EMFILE"),
                            HasSubstr("ulimit -n")));
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_EQ(meter_.now_bytes(), 0u);
}

TEST_P(HeapContract, ServesSeveralThreads) {
    const std::size_t before = open_descriptors();
    std::vector<std::thread> threads;
    threads.reserve(4);
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([this] {
            for (int i = 0; i < 20; ++i) {
                const DmaBuf buffer = allocate(page_);
                EXPECT_TRUE(all_zero(buffer.map(Access::read)));
            }
        });
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(meter_.now_bytes(), 0u);
    EXPECT_EQ(open_descriptors(), before);
}

INSTANTIATE_TEST_SUITE_P(Heaps, HeapContract,
                         testing::Values("system_cc_shared", "system_cc_decrypted", "system",
                                         "udmabuf", "memfd"),
                         [](const auto& name) { return std::string(name.param); });

} // namespace
} // namespace clearframe
