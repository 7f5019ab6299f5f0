// QEMU's PCI device edu, as the guest's kernel offers it: real device DMA on dma-bufs.
#pragma once

#include "coco_guest/kernel/edu_dma.h"
#include "core/unique_fd.h"

#include <cstdint>
#include <string>

namespace clearframe::guest {

// One opening of /dev/edu_dma; closing it lets go of what it has mapped. The device has its own
// 2 KiB of memory, which all openings share: use one at a time.
class Edu {
public:
    static constexpr std::size_t max_bytes = EDU_DMA_MAX_BYTES;

    Edu();                         // throws Error
    static std::string pci_name(); // "0000:00:04.0"

    // These return 0 or the errno of the refusal.
    int map(int fd); // fills mapped()
    int unmap();
    // The device copies from the dma-buf into its memory, or from there into the dma-buf.
    int read(std::uint64_t offset, std::uint32_t bytes);
    int write(std::uint64_t offset, std::uint32_t bytes);

    const edu_dma_map& mapped() const noexcept { return mapped_; }

private:
    int transfer(unsigned long command, std::uint64_t offset, std::uint32_t bytes);

    UniqueFd device_;
    edu_dma_map mapped_{};
};

} // namespace clearframe::guest
