// A piece of frame memory as a file descriptor: a dma-buf, or a memfd that stands in for one.
#pragma once

#include "core/unique_fd.h"
#include "memory/exposure.h"

#include <sys/types.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace clearframe {

// What tells one dma-buf from another, from the heap to the NIC: the inode behind its fd.
struct BufferIdentity {
    dev_t device = 0;
    ino_t inode = 0;

    // Asks the kernel (fstat). Throws Error.
    static BufferIdentity of(int fd);
    bool operator==(const BufferIdentity&) const = default;
};

enum class Access { read, write, read_write };

// Memory mapped into this process; unmapped by its destructor. Outlives the DmaBuf it came from
// if need be: the mapping holds the pages.
class Mapping {
public:
    Mapping() = default;
    // Maps the first `bytes` of `fd`, shared, every page at once: using it faults no more. `object`
    // names it in the Error thrown on failure.
    Mapping(int fd, std::size_t bytes, Access access, std::string_view object);
    Mapping(Mapping&& other) noexcept;
    Mapping& operator=(Mapping&& other) noexcept;
    ~Mapping();

    std::span<std::byte> bytes() const noexcept { return bytes_; }

private:
    std::span<std::byte> bytes_;
};

// Owns one buffer. Not thread-safe, but any thread may own it. When it is destroyed, shared
// memory is zeroed first (what the host could read while it was in use, it cannot find there
// afterwards) and taken off the exposure meter.
class DmaBuf {
public:
    // Takes over `fd`, of `bytes` bytes. `is_dma_buf` is false for a memfd, which knows no
    // DMA_BUF_IOCTL_SYNC. `meter` must outlive the buffer. `pinnable`, if any, is what
    // map_pinnable() maps: other pages it must not have.
    DmaBuf(UniqueFd fd, std::size_t bytes, Exposure exposure, bool is_dma_buf, std::string heap,
           ExposureMeter& meter, UniqueFd pinnable = {});
    DmaBuf(DmaBuf&&) noexcept = default;
    DmaBuf& operator=(DmaBuf&&) = delete;
    ~DmaBuf();

    int fd() const noexcept { return fd_.get(); }
    std::size_t size() const noexcept { return bytes_; }
    Exposure exposure() const noexcept { return exposure_; }
    bool is_dma_buf() const noexcept { return is_dma_buf_; }
    const std::string& heap() const noexcept { return heap_; }
    const BufferIdentity& identity() const noexcept { return identity_; }

    // A second descriptor of the same buffer, for an API that takes it over. Throws Error.
    UniqueFd duplicate() const;

    // A new mapping of the whole buffer. Throws Error.
    Mapping map(Access access) const;
    // Likewise, of the same pages, for a device that pins them by address: a udmabuf's own mapping
    // cannot be pinned, that of its memfd can. Whether this one can be is for the device to say.
    Mapping map_pinnable(Access access) const;

private:
    UniqueFd fd_;
    UniqueFd pinnable_;
    std::size_t bytes_;
    Exposure exposure_;
    bool is_dma_buf_;
    std::string heap_;
    ExposureRecord record_;
    BufferIdentity identity_;
};

// Brackets CPU access to a buffer's mapping: DMA_BUF_IOCTL_SYNC START now, END at destruction.
// Does nothing for a memfd. May block until a device is done with the buffer. Throws Error.
class CpuAccess {
public:
    CpuAccess(const DmaBuf& buffer, Access access);
    CpuAccess(const CpuAccess&) = delete;
    CpuAccess& operator=(const CpuAccess&) = delete;
    ~CpuAccess();

private:
    int fd_ = -1;
    Access access_;
};

} // namespace clearframe
