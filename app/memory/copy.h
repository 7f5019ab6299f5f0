// Copying bytes as fast as this CPU can.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace clearframe {

// Copies `bytes` bytes; the ranges do not overlap; any alignment, any size. All stores are
// globally visible when it returns.
using CopyFunction = void (*)(std::byte* target, const std::byte* source, std::size_t bytes);

struct CopyMethod {
    std::string_view name; // "memcpy", "stream-avx2", …
    CopyFunction copy = nullptr;
    bool streaming = false; // stores go past the caches
};

// The methods that this CPU can run: "memcpy", other plain ones, streaming ones.
std::span<const CopyMethod> copy_methods();

// What a DMA engine does to memory: the fastest streaming method, or memcpy on a CPU for which
// there is none here. The first call times them, for some 20 ms; the method is then the same on
// every call. There is no best one for all CPUs: with frames larger than the caches, prefetching
// with the hint NTA is ahead on Zen 4, and on Sapphire Rapids moves 4 to 6 GB/s where T0 moves 10.
// Thread-safe.
const CopyMethod& streaming_copy();

// The method that moves `piece`-byte pieces of `source` (used as a ring of whole pieces) into
// `target` (likewise, usually smaller: a pool that stays warm) fastest. Times each method several
// times over, in turn, for `budget` nanoseconds in all, and takes the best of the medians. The
// contents of `target` are lost.
struct CopyTiming {
    CopyMethod method;
    double gbytes_per_s = 0;
};
CopyTiming fastest_copy(std::span<std::byte> target, std::span<const std::byte> source,
                        std::size_t piece, std::int64_t budget);

} // namespace clearframe
