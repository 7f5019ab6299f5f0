// The kinds of heap there are.
#pragma once

#include "core/unique_fd.h"
#include "memory/heap.h"

#include <filesystem>
#include <string_view>

namespace clearframe {

// A heap of the kernel's: /dev/dma_heap/NAME.
class DmaHeap final : public Heap {
public:
    // Throws Error of availability that says why the node cannot be used.
    DmaHeap(std::string_view name, bool is_shared_heap, const std::filesystem::path& root);

private:
    Pages do_allocate(std::size_t bytes) const override;
    UniqueFd device_;
};

// Dma-bufs that /dev/udmabuf makes of memfds.
class UdmabufHeap final : public Heap {
public:
    // Throws Error of availability that says why the node cannot be used.
    explicit UdmabufHeap(const std::filesystem::path& root);

private:
    Pages do_allocate(std::size_t bytes) const override;
    UniqueFd device_;
};

// Memfds, for machines without dma-bufs.
class MemfdHeap final : public Heap {
public:
    MemfdHeap();

private:
    Pages do_allocate(std::size_t bytes) const override;
};

} // namespace clearframe
