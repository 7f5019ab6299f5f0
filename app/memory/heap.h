// Heaps: where frame memory comes from.
#pragma once

#include "core/choice.h"
#include "core/error.h"
#include "memory/dma_buf.h"
#include "memory/guest.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace clearframe {

// What a heap gives: a buffer's descriptor and, where the buffer's own mapping cannot be pinned,
// but that of what it was made of can, that one.
struct Pages {
    UniqueFd fd;
    UniqueFd pinnable = {};
};

// One heap. Thread-safe.
//
// `system_cc_shared` and `system_cc_decrypted` (the same heap by its newer and its older name)
// give shared memory and nothing else. The others give ordinary, private memory; on a machine
// that is not a confidential guest, where private and shared do not differ, they can play the
// part of shared memory too, and every figure made so says "emulated".
class Heap {
public:
    virtual ~Heap() = default;

    const std::string& name() const noexcept { return name_; }
    // False where the fd is a memfd: only some importers take it for a dma-buf.
    bool makes_dma_bufs() const noexcept { return makes_dma_bufs_; }
    // True for the heaps whose memory the host can read in a confidential guest.
    bool is_shared_heap() const noexcept { return is_shared_heap_; }

    // The most bytes that one buffer of this heap may have by a rule of its own, whatever memory is
    // free; empty where there is none.
    std::optional<std::uint64_t> largest_buffer() const noexcept { return largest_buffer_; }

    // A zeroed buffer of at least `bytes` bytes, rounded up to whole pages, close-on-exec.
    // `exposure` says which part the memory plays; a shared heap refuses to play private memory.
    // May block for as long as the kernel takes to find and convert the pages. Throws Error: size
    // 0 or more than the address space allows, no file descriptors, no memory (a sixteenth of the
    // machine's is left to others).
    DmaBuf allocate(std::size_t bytes, Exposure exposure, ExposureMeter& meter) const;

    // The kernel's part of allocate() alone, for measuring it: the caller has checked the memory,
    // and that `bytes` is a whole number of pages, not 0. Nobody counts or zeroes what it gives.
    Pages allocate_pages(std::size_t bytes) const { return do_allocate(bytes); }

protected:
    Heap(std::string name, bool makes_dma_bufs, bool is_shared_heap)
        : name_(std::move(name)),
          makes_dma_bufs_(makes_dma_bufs),
          is_shared_heap_(is_shared_heap) {}

private:
    // `bytes` is a whole number of pages, not 0. Throws Error.
    virtual Pages do_allocate(std::size_t bytes) const = 0;

    std::string name_;
    bool makes_dma_bufs_;
    bool is_shared_heap_;

protected:
    std::optional<std::uint64_t> largest_buffer_;
};

// Bytes that may be allocated now: the memory that is available, but for a sixteenth of the
// machine's. The largest number where the kernel does not say.
std::uint64_t free_memory();

// Throws Error (`failure`, ENOMEM, "WHAT of SO MANY free") unless `bytes` are free: the
// kernel would rather kill a process than refuse it a page.
void check_memory(std::string_view what, std::uint64_t bytes, Failure failure);

// Every heap this program knows, best first: system_cc_shared, system_cc_decrypted, system,
// udmabuf, memfd; usable or with the reason why not. Opens device nodes, allocates one page.
// `root` stands in for "/" in tests.
std::vector<Candidate> probe_heaps(const std::filesystem::path& root = "/");

// What of those heaps frames can be made of in such a guest. In a confidential one ordinary memory
// is private: `system` and `memfd` can play shared memory only for emulated parts, and say so;
// `udmabuf` is refused for any frames, because the kernel maps it through bounce buffers for the
// CPU's own access and copies those over what others have written.
std::vector<Candidate> frame_heaps(std::vector<Candidate> heaps, const ConfidentialGuest& guest);
// Of this machine.
std::vector<Candidate> probe_frame_heaps(const std::filesystem::path& root = "/");

// Opens the heap of that name. Throws Error.
std::unique_ptr<Heap> open_heap(std::string_view name, const std::filesystem::path& root = "/");

// The heap for private frames: the best one whose memory a confidential guest keeps private
// (system, udmabuf, memfd).
Choice choose_private_heap(std::span<const Candidate> heaps);

} // namespace clearframe
