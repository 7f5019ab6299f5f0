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

// The methods that this CPU can run: "memcpy", other plain ones, streaming ones best first.
std::span<const CopyMethod> copy_methods();

// What a DMA engine does to memory: the first streaming method, or memcpy on a CPU for which
// there is none here. Best is stream-avx2: measured on Zen 4 it is 0 to 5 % ahead of stream-avx512
// and stream-sse2 for every frame size, and never behind. The same method on every call.
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
