#include "paths/staging_pool.h"

#include <algorithm>

namespace clearframe {
namespace {

using Bits = std::array<std::uint64_t, 2>;

// The bits [first, first + count) of a segment.
Bits run_mask(std::size_t first, std::size_t count) {
    Bits mask{};
    for (std::size_t word = 0; word < mask.size(); ++word) {
        const std::size_t begin = std::clamp<std::size_t>(first, word * 64, word * 64 + 64);
        const std::size_t end = std::clamp<std::size_t>(first + count, word * 64, word * 64 + 64);
        if (begin < end)
            mask[word] = (end - begin == 64 ? ~0ull : (1ull << (end - begin)) - 1)
                         << (begin - word * 64);
    }
    return mask;
}

bool overlaps(const Bits& a, const Bits& b) { return (a[0] & b[0]) != 0 || (a[1] & b[1]) != 0; }

} // namespace

std::size_t swiotlb_pool_rule(std::uint64_t memory_bytes) {
    return std::clamp<std::uint64_t>(memory_bytes * 6 / 100, 64 * MiB, GiB);
}

StagingPool::StagingPool(std::size_t bytes)
    : segments_(std::max<std::size_t>(bytes / swiotlb_mapping, 1)) {}

std::optional<StagingPool::Allocation> StagingPool::allocate(std::size_t bytes) noexcept {
    const std::size_t count = (bytes + swiotlb_slot - 1) / swiotlb_slot;
    for (std::size_t s = 0; s < segments_.size(); ++s) {
        Segment& segment = segments_[s];
        for (std::size_t first = 0; first + count <= swiotlb_segment_slots; ++first) {
            const Bits mask = run_mask(first, count);
            if (overlaps(mask, segment.used)) {
                if (count == swiotlb_segment_slots)
                    break;
                continue;
            }
            segment.used[0] |= mask[0];
            segment.used[1] |= mask[1];
            segment.length[first] = static_cast<std::uint8_t>(count);
            used_ += count;
            return Allocation{static_cast<std::uint32_t>(s * swiotlb_segment_slots + first)};
        }
    }
    return std::nullopt;
}

bool StagingPool::free(std::uint32_t first_slot) noexcept {
    const std::size_t s = first_slot / swiotlb_segment_slots;
    const std::size_t first = first_slot % swiotlb_segment_slots;
    if (s >= segments_.size() || segments_[s].length[first] == 0)
        return false;
    Segment& segment = segments_[s];
    const Bits mask = run_mask(first, segment.length[first]);
    segment.used[0] &= ~mask[0];
    segment.used[1] &= ~mask[1];
    used_ -= segment.length[first];
    segment.length[first] = 0;
    return true;
}

} // namespace clearframe
