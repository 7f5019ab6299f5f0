// Memory written over and over, as fast as a connection goes: the limit that a stream is held
// against.
#pragma once

#include "nic/nic.h"

#include <cstdint>
#include <span>

namespace clearframe {

// Memory of the peer, registered for writing.
struct RemoteRange {
    std::uint64_t address = 0; // of its first byte
    std::uint64_t length = 0;  // bytes
    std::uint32_t rkey = 0;
};

// Writes `source`'s regions into `target`'s ranges, round and round in their orders, each as much
// as fits into both and into one message, for about `duration`; each once at least. Takes no
// receive of the peer's and leaves no work behind. To be called with no work under way; one thread,
// the endpoint's. Allocates nothing. Blocks. GB/s (1e9 bytes), from the first post to the last
// completion. Throws Error: no memory, a write that failed (its status), nothing done in 10 s, a
// wait that was cancelled.
double plain_writes(Endpoint& endpoint, std::span<const MemoryRegion* const> source,
                    std::span<const RemoteRange> target, Nanoseconds duration);

} // namespace clearframe
