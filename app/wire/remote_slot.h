// One slot of a receiver's, as the sender may write it.
#pragma once

#include <cstdint>

namespace clearframe {

struct RemoteSlot {
    std::uint64_t address = 0;
    std::uint32_t rkey = 0;
};

} // namespace clearframe
