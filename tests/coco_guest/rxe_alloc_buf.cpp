// Preloaded in the guest: ibv_alloc_buf() and what belongs to it (rdma-core 64 and 65) for
// soft-RoCE, as the driver of mlx5 has them: memory of the heap of shared memory where the device
// reaches nothing else, which the guest's rxe0 reports, and no dma-buf where it does.
#include <fcntl.h>
#include <linux/dma-heap.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <infiniband/verbs.h>

struct ibv_buf {
    void* address;
    std::size_t bytes;
    int fd;
};

namespace {

constexpr std::uint64_t cc_dma_bounce = std::uint64_t{1} << 41;

bool bounces(ibv_context* context) {
    ibv_device_attr_ex attributes{};
    return ibv_query_device_ex(context, nullptr, &attributes) == 0 &&
           (attributes.device_cap_flags_ex & cc_dma_bounce) != 0;
}

int allocate_shared(std::size_t bytes) {
    const int heap = open("/dev/dma_heap/system_cc_shared", O_RDWR | O_CLOEXEC);
    if (heap < 0)
        return -1;
    dma_heap_allocation_data request{};
    request.len = bytes;
    request.fd_flags = O_RDWR | O_CLOEXEC;
    const bool made = ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &request) == 0;
    close(heap);
    return made ? static_cast<int>(request.fd) : -1;
}

} // namespace

extern "C" {

void* ibv_alloc_buf(ibv_pd* pd, std::size_t size, ibv_buf** buf) {
    const bool shared = bounces(pd->context);
    const int fd = shared ? allocate_shared(size) : -1;
    if (shared && fd < 0) {
        errno = ENOMEM;
        return nullptr;
    }
    void* const address = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                               shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, fd, 0);
    if (address == MAP_FAILED) {
        if (fd >= 0)
            close(fd);
        return nullptr;
    }
    *buf = new ibv_buf{address, size, fd};
    return address;
}

int ibv_export_buf_dmabuf_fd(ibv_buf* buf) {
    if (buf->fd < 0) {
        errno = ENODATA;
        return -1;
    }
    return fcntl(buf->fd, F_DUPFD_CLOEXEC, 0);
}

void ibv_free_buf(ibv_buf* buf) {
    munmap(buf->address, buf->bytes);
    if (buf->fd >= 0)
        close(buf->fd);
    delete buf;
}
}
