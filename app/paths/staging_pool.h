// The staging pool: shared memory handed out with the geometry of Linux's swiotlb.
#pragma once

#include "core/units.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace clearframe {

// kernel/dma/swiotlb.c and include/linux/swiotlb.h: IO_TLB_SHIFT 11 (slots of 2 KiB),
// IO_TLB_SEGSIZE 128 (a mapping lies within one segment of 128 slots, so 256 KiB at most).
inline constexpr std::size_t swiotlb_slot = 2 * KiB;
inline constexpr std::size_t swiotlb_segment_slots = 128;
inline constexpr std::size_t swiotlb_mapping = swiotlb_slot * swiotlb_segment_slots;

// The pool of a confidential guest: 6 % of memory, at least 64 MiB, at most 1 GiB
// (arch/x86/mm/mem_encrypt.c: mem_encrypt_setup_arch()).
std::size_t swiotlb_pool_rule(std::uint64_t memory_bytes);

struct StagingOptions {
    std::size_t pool_bytes = 0; // the most that may be in use at once; 0: by swiotlb_pool_rule()
};

// Hands out mappings: runs of slots inside one segment, lowest address first, so that what was
// used last, and is still in the caches, is used again first. One thread; allocates in its
// constructor alone.
class StagingPool {
public:
    // `bytes` is rounded down to whole segments, but is one segment at least.
    explicit StagingPool(std::size_t bytes);

    std::size_t bytes() const noexcept { return segments_.size() * swiotlb_mapping; }
    std::size_t used_slots() const noexcept { return used_; }

    struct Allocation {
        std::uint32_t first_slot = 0; // in the pool
        std::size_t offset() const noexcept { return first_slot * swiotlb_slot; }
    };
    // A run for `bytes` (1 … swiotlb_mapping); empty when no segment has one.
    std::optional<Allocation> allocate(std::size_t bytes) noexcept;
    // Gives back the run that starts at `first_slot`. False if none does: a completion that makes
    // no sense.
    bool free(std::uint32_t first_slot) noexcept;

private:
    struct Segment {
        std::array<std::uint64_t, 2> used{};                      // a bit a slot
        std::array<std::uint8_t, swiotlb_segment_slots> length{}; // of the run that starts here
    };

    std::vector<Segment> segments_;
    std::size_t used_ = 0;
};

} // namespace clearframe
