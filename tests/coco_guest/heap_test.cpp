// The heap of shared memory itself, as Linux makes it: what tests/contract holds against every heap
// is held against it in the guest too; here is what needs the kernel's own accounts.
#include "coco_guest/drm.h"
#include "coco_guest/edu.h"
#include "coco_guest/support.h"
#include "memory/guest.h"
#include "unit/gpu/gpu_support.h"

#include <gmock/gmock.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/dma-heap.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <vector>

namespace clearframe::guest {
namespace {

using testing::HasSubstr;

// What free memory differs by with nothing leaked: caches of the kernel's that it does not give up.
constexpr std::uint64_t noise = 3 << 20;

class SharedHeapTest : public GuestTest {};

TEST_F(SharedHeapTest, IsThere) {
    EXPECT_TRUE(std::filesystem::exists("/dev/dma_heap/system_cc_shared"));
    const std::vector<Candidate> heaps = probe_heaps();
    EXPECT_EQ(heaps[choose("heap", "auto", heaps).index].name, shared_heap);
    const ConfidentialGuest guest = detect_guest();
    EXPECT_EQ(guest.kind, "unknown") << "the kernel shows no hardware that it would be";
    EXPECT_EQ(guest.evidence, "/dev/dma_heap/system_cc_shared");
}

// Allocates from the heap's device itself. Returns the fd, or the errno negated.
int raw_allocate(std::uint64_t bytes, std::uint32_t fd_flags = O_RDWR | O_CLOEXEC,
                 std::uint64_t heap_flags = 0) {
    const UniqueFd heap(::open("/dev/dma_heap/system_cc_shared", O_RDONLY | O_CLOEXEC));
    if (!heap)
        return -errno;
    dma_heap_allocation_data request{
        .len = bytes, .fd = 0, .fd_flags = fd_flags, .heap_flags = heap_flags};
    if (::ioctl(heap.get(), DMA_HEAP_IOCTL_ALLOC, &request) != 0)
        return -errno;
    return static_cast<int>(request.fd);
}

TEST_F(SharedHeapTest, RoundsSizesUpAndRefusesWhatCannotBe) {
    const BufferCount before = dma_bufs();
    for (const auto& [asked, given] :
         {std::pair{1, 4096}, {4095, 4096}, {4097, 8192}, {3'000'001, 3'002'368}}) {
        const UniqueFd buffer(raw_allocate(static_cast<std::uint64_t>(asked)));
        ASSERT_TRUE(buffer) << asked;
        EXPECT_EQ(::lseek(buffer.get(), 0, SEEK_END), given) << asked;
    }
    EXPECT_EQ(raw_allocate(0), -EINVAL);
    EXPECT_EQ(raw_allocate(~std::uint64_t{0}), -EINVAL) << "0, rounded up to whole pages";
    EXPECT_EQ(raw_allocate(4096, O_RDWR | O_APPEND), -EINVAL);
    EXPECT_EQ(raw_allocate(4096, O_RDWR, 1), -EINVAL);
    EXPECT_EQ(dma_bufs(), before);
}

// The kernel takes page after page until there are none, and then ends a process: the one that
// asked, here. That is why Heap::allocate() looks first.
TEST_F(SharedHeapTest, AnOverlargeRequestGivesEverythingBack) {
    const BufferCount before = dma_bufs();
    const std::uint64_t free = free_memory();
    const pid_t child = ::fork();
    if (child == 0) {
        write_file("/proc/self/oom_score_adj", "1000");
        ::_exit(raw_allocate(2 * free) == -ENOMEM ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) {
        EXPECT_EQ(WTERMSIG(status), SIGKILL);
    } else {
        EXPECT_EQ(WEXITSTATUS(status), 0) << "it was given more than there is";
    }
    EXPECT_EQ(dma_bufs(), before);
    EXPECT_GT(free_memory(), free - noise);

    const auto heap = open_heap(shared_heap);
    EXPECT_THROW(heap->allocate(2 * free, Exposure::shared, meter_), Error);
}

bool all_zero(std::span<const std::byte> bytes) {
    return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

// The device says where a buffer really lies: the same pages come again, and they are zeroed.
TEST_F(SharedHeapTest, IsZeroedWhenItsPagesAreUsedAgain) {
    constexpr std::size_t size = 1 << 20;
    std::set<std::uint64_t> used;
    std::size_t again = 0;
    for (int round = 0; round < 100 && again < 10; ++round) {
        const UniqueFd buffer(raw_allocate(size));
        ASSERT_TRUE(buffer);
        const Mapping mapping(buffer.get(), size, Access::read_write, "test");
        ASSERT_TRUE(all_zero(mapping.bytes()));
        std::ranges::fill(mapping.bytes(), std::byte{0xff});
        Edu edu;
        ASSERT_EQ(edu.map(buffer.get()), 0);
        again += !used.insert(edu.mapped().physical).second;
    }
    EXPECT_GE(again, 10u) << "pages that were used again";
}

// Whether a program that is started sees the descriptor.
bool survives_exec(int fd) {
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    const pid_t child = ::fork();
    if (child == 0) {
        ::execl("/usr/bin/test", "test", "-e", link.c_str(), nullptr);
        ::_exit(2);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
        ADD_FAILURE() << "/usr/bin/test could not be run";
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_F(SharedHeapTest, DescriptorsAreClosedOnExec) {
    const DmaBuf buffer = allocate(shared_heap, 1);
    EXPECT_FALSE(survives_exec(buffer.fd()));
    EXPECT_FALSE(survives_exec(buffer.duplicate().get()));
    const UniqueFd left_open(raw_allocate(1, O_RDWR));
    EXPECT_TRUE(survives_exec(left_open.get())) << "so that the above can fail";
}

void allocate_and_free(std::size_t rounds) {
    constexpr std::size_t sizes[] = {4 << 10, 64 << 10, 1 << 20, 300'000, 8'294'400, 12'345};
    for (std::size_t round = 0; round < rounds; ++round) {
        const std::size_t size = sizes[round % std::size(sizes)];
        const UniqueFd buffer(raw_allocate(size));
        ASSERT_TRUE(buffer) << "round " << round;
        const Mapping mapping(buffer.get(), size, Access::read_write, "test");
        mapping.bytes().front() = mapping.bytes().back() = std::byte{1};
    }
}

TEST_F(SharedHeapTest, PagesComeBack) {
    allocate_and_free(60);
    const BufferCount buffers = dma_bufs();
    const std::uint64_t before = free_memory();
    {
        const UniqueFd held(raw_allocate(2 * noise));
        ASSERT_TRUE(held);
        EXPECT_LT(free_memory(), before - noise) << "so that the check below can fail";
    }
    allocate_and_free(1000); // 1.6 GB in all
    EXPECT_GT(free_memory(), before - noise);
    EXPECT_EQ(dma_bufs(), buffers);
}

// Holds buffers in every way there is, says so on `ready`, and waits to be killed.
[[noreturn]] void hold_buffers(int ready) {
    ExposureMeter meter;
    const auto heap = open_heap(shared_heap);
    const auto index = first_gpu(*heap, {});
    if (!index)
        ::_exit(1);
    Gpu gpu(*index, *heap, {});
    const FrameLayout layout = gpu.frame_layout(1920, 1080);
    const std::vector<DmaBuf> slots = allocate_slots(*heap, layout, 4, meter);
    const auto source = gpu.make_source(slots, layout, Scene::noise, 1);
    const Mapping mapping = slots[0].map(Access::read_write);
    const Card card("vkms");
    Screen screen(card);
    const ImportedBuffer imported(card, slots[1].fd());
    const Framebuffer framebuffer(
        card, imported.handle(),
        {.width = screen.width(), .height = screen.height(), .stride = layout.stride, .offset = 0});
    screen.show(framebuffer);
    Edu edu;
    if (edu.map(slots[2].fd()) != 0)
        ::_exit(1);
    const CpuAccess access(slots[0], Access::read_write);
    source->begin(3, {.sequence = 1, .time_ns = 1});
    if (::write(ready, "r", 1) != 1)
        ::_exit(1);
    for (;;)
        ::pause();
}

TEST_F(SharedHeapTest, AKilledProcessLeaksNothing) {
    const BufferCount before = dma_bufs();
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const UniqueFd reading(ends[0]);
    UniqueFd writing(ends[1]);
    const pid_t child = ::fork();
    if (child == 0) {
        try {
            hold_buffers(writing.get());
        } catch (const std::exception& error) {
            std::fprintf(stderr, "%s\n", error.what());
            ::_exit(1);
        }
    }
    writing.reset();
    char ready = 0;
    const bool holds = ::read(reading.get(), &ready, 1) == 1;
    const BufferCount during = dma_bufs();
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(holds) << "the child ended before it held its buffers";
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_GE(during.objects, before.objects + 4); // the GPU's driver may have some of its own
    EXPECT_EQ(dma_bufs(), before);
}

} // namespace
} // namespace clearframe::guest
