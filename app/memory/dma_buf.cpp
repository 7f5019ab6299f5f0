#include "memory/dma_buf.h"

#include "core/error.h"
#include "core/units.h"
#include "memory/shortage.h"

#include <fmt/format.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cstring>
#include <utility>

namespace clearframe {
namespace {

int protection(Access access) {
    switch (access) {
    case Access::read:
        return PROT_READ;
    case Access::write:
        return PROT_WRITE;
    case Access::read_write:
        break;
    }
    return PROT_READ | PROT_WRITE;
}

std::uint64_t sync_flags(Access access) {
    switch (access) {
    case Access::read:
        return DMA_BUF_SYNC_READ;
    case Access::write:
        return DMA_BUF_SYNC_WRITE;
    case Access::read_write:
        break;
    }
    return DMA_BUF_SYNC_RW;
}

// Returns 0 or the errno.
int sync(int fd, std::uint64_t flags) noexcept {
    dma_buf_sync request{.flags = flags};
    while (::ioctl(fd, DMA_BUF_IOCTL_SYNC, &request) != 0)
        if (errno != EINTR && errno != EAGAIN)
            return errno;
    return 0;
}

} // namespace

BufferIdentity BufferIdentity::of(int fd) {
    struct stat status {};
    if (::fstat(fd, &status) != 0)
        throw_errno(errno, fmt::format("asking for the identity of buffer fd {}", fd));
    return {status.st_dev, status.st_ino};
}

Mapping::Mapping(int fd, std::size_t bytes, Access access, std::string_view object) {
    // Populated here, so that page faults belong to setting up and not to the first frames.
    void* const address =
        ::mmap(nullptr, bytes, protection(access), MAP_SHARED | MAP_POPULATE, fd, 0);
    if (address == MAP_FAILED) {
        const int error = errno;
        throw_errno(error, fmt::format("{}: mapping {}", object, bytes_text(bytes)),
                    shortage_advice(error));
    }
    bytes_ = {static_cast<std::byte*>(address), bytes};
}

Mapping::Mapping(Mapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
    Mapping taken(std::move(other));
    std::swap(bytes_, taken.bytes_);
    return *this;
}

Mapping::~Mapping() {
    if (!bytes_.empty())
        ::munmap(bytes_.data(), bytes_.size());
}

DmaBuf::DmaBuf(UniqueFd fd, std::size_t bytes, Exposure exposure, bool is_dma_buf, std::string heap,
               ExposureMeter& meter, UniqueFd pinnable)
    : fd_(std::move(fd)),
      pinnable_(std::move(pinnable)),
      bytes_(bytes),
      exposure_(exposure),
      is_dma_buf_(is_dma_buf),
      heap_(std::move(heap)),
      record_(meter, bytes, exposure),
      identity_(BufferIdentity::of(fd_.get())) {}

DmaBuf::~DmaBuf() {
    if (!fd_ || exposure_ != Exposure::shared)
        return;
    try {
        const Mapping mapping = map(Access::write);
        const CpuAccess access(*this, Access::write);
        std::memset(mapping.bytes().data(), 0, mapping.bytes().size());
    } catch (...) {
        record_.not_zeroed();
    }
}

UniqueFd DmaBuf::duplicate() const {
    UniqueFd copy(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy) {
        const int error = errno;
        throw_errno(error, fmt::format("buffer of heap {}: duplicating its descriptor", heap_),
                    shortage_advice(error));
    }
    return copy;
}

Mapping DmaBuf::map(Access access) const {
    return Mapping(fd_.get(), bytes_, access, fmt::format("buffer of heap {}", heap_));
}

Mapping DmaBuf::map_pinnable(Access access) const {
    return pinnable_ ? Mapping(pinnable_.get(), bytes_, access,
                               fmt::format("buffer of heap {}, its memfd", heap_))
                     : map(access);
}

CpuAccess::CpuAccess(const DmaBuf& buffer, Access access) : access_(access) {
    if (!buffer.is_dma_buf())
        return;
    if (const int error = sync(buffer.fd(), DMA_BUF_SYNC_START | sync_flags(access)))
        throw_errno(error,
                    fmt::format("buffer of heap {}: DMA_BUF_IOCTL_SYNC start", buffer.heap()));
    fd_ = buffer.fd();
}

CpuAccess::~CpuAccess() {
    if (fd_ >= 0)
        sync(fd_, DMA_BUF_SYNC_END | sync_flags(access_));
}

} // namespace clearframe
