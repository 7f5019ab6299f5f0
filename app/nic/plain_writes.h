// The limit of a connection: writes, one after the other, with nothing else going on.
#pragma once

#include "nic/nic.h"

#include <cstdint>
#include <span>

namespace clearframe {

// Memory of the peer's.
struct RemoteRange {
    std::uint64_t address = 0;
    std::uint64_t length = 0;
    std::uint32_t rkey = 0;
};

// Writes `source` in turn into `target` in turn, over and over, for about `duration`. GB/s (1e9
// bytes). Blocks; call it only while no other work is in flight on the endpoint. Throws Error.
double plain_writes(Endpoint& endpoint, std::span<const MemoryRegion* const> source,
                    std::span<const RemoteRange> target, Nanoseconds duration);

} // namespace clearframe
