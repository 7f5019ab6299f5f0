#include "memory/heap_kinds.h"

#include "core/error.h"
#include "core/units.h"
#include "memory/heap_refusal.h"
#include "memory/shortage.h"

#include <fmt/format.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <fstream>

namespace clearframe {
namespace {

namespace fs = std::filesystem;

UniqueFd open_node(std::string_view heap, const fs::path& node, int flags, const fs::path& root) {
    UniqueFd fd(::open(node.c_str(), flags | O_CLOEXEC));
    if (!fd) {
        const int error = errno;
        throw_errno(error, fmt::format("opening {}", node.native()),
                    heap_refusal(heap, node, error, root), Failure::unavailable);
    }
    return fd;
}

[[noreturn]] void throw_allocation(int error, const Heap& heap, std::string_view step,
                                   std::size_t bytes, std::string_view advice) {
    throw_errno(error,
                fmt::format("heap {}: allocating {} ({})", heap.name(), bytes_text(bytes), step),
                advice);
}

[[noreturn]] void throw_allocation(int error, const Heap& heap, std::string_view step,
                                   std::size_t bytes) {
    throw_allocation(error, heap, step, bytes, shortage_advice(error));
}

UniqueFd make_memfd(const Heap& heap, std::size_t bytes) {
    UniqueFd fd(::memfd_create("clearframe", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!fd)
        throw_allocation(errno, heap, "memfd_create", bytes);
    return fd;
}

// No mapping of it can then lose its pages: that would end the program by SIGBUS.
void seal(const UniqueFd& fd, const Heap& heap, std::size_t bytes) {
    if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK) != 0)
        throw_allocation(errno, heap, "F_ADD_SEALS", bytes);
}

} // namespace

DmaHeap::DmaHeap(std::string_view name, bool is_shared_heap, const fs::path& root)
    : Heap(std::string(name), true, is_shared_heap),
      device_(open_node(name, root / "dev/dma_heap" / name, O_RDONLY, root)) {}

Pages DmaHeap::do_allocate(std::size_t bytes) const {
    dma_heap_allocation_data request{.len = bytes, .fd_flags = O_RDWR | O_CLOEXEC};
    while (::ioctl(device_.get(), DMA_HEAP_IOCTL_ALLOC, &request) != 0)
        if (errno != EINTR)
            throw_allocation(errno, *this, "DMA_HEAP_IOCTL_ALLOC", bytes);
    return {.fd = UniqueFd(static_cast<int>(request.fd))};
}

UdmabufHeap::UdmabufHeap(const fs::path& root)
    : Heap("udmabuf", true, false), device_(open_node(name(), root / "dev/udmabuf", O_RDWR, root)) {
    std::ifstream file(root / "sys/module/udmabuf/parameters/size_limit_mb");
    if (std::uint64_t mebibytes = 0; file >> mebibytes)
        largest_buffer_ = mebibytes * MiB;
}

Pages UdmabufHeap::do_allocate(std::size_t bytes) const {
    UniqueFd memfd = make_memfd(*this, bytes);
    if (::ftruncate(memfd.get(), static_cast<off_t>(bytes)) != 0)
        throw_allocation(errno, *this, "ftruncate", bytes);
    seal(memfd, *this, bytes);
    const udmabuf_create request{.memfd = static_cast<__u32>(memfd.get()),
                                 .flags = UDMABUF_FLAGS_CLOEXEC,
                                 .offset = 0,
                                 .size = bytes};
    UniqueFd fd(::ioctl(device_.get(), UDMABUF_CREATE, &request));
    if (fd)
        return {.fd = std::move(fd), .pinnable = std::move(memfd)};
    const int error = errno;
    if (error == EINVAL && largest_buffer())
        throw_allocation(error, *this, "UDMABUF_CREATE", bytes,
                         fmt::format("One buffer may have {} MiB: raise "
                                     "/sys/module/udmabuf/parameters/size_limit_mb",
                                     *largest_buffer() / MiB));
    throw_allocation(error, *this, "UDMABUF_CREATE", bytes);
}

MemfdHeap::MemfdHeap() : Heap("memfd", false, false) {}

Pages MemfdHeap::do_allocate(std::size_t bytes) const {
    UniqueFd fd = make_memfd(*this, bytes);
    // Every page now: one that cannot be had later would end the program by SIGBUS.
    while (::fallocate(fd.get(), 0, 0, static_cast<off_t>(bytes)) != 0)
        if (errno != EINTR)
            throw_allocation(errno, *this, "fallocate", bytes);
    seal(fd, *this, bytes);
    return {.fd = std::move(fd)};
}

} // namespace clearframe
