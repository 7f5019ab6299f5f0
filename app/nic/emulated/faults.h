// Which frames go wrong: chance that a seed makes repeatable.
#pragma once

#include "nic/emulated/options.h"

#include <random>

namespace clearframe {

// The faults of one end of a connection. The same options, stream and number of frames give the
// same faults, whatever the time. One thread.
class FaultSource {
public:
    struct Strike {
        NicFault fault;
        std::uint64_t random; // for what the fault leaves open
    };

    // `stream` tells one end's chances from another's.
    FaultSource(const EmulatedNicOptions& options, std::uint64_t stream);

    // What happens to the next frame.
    std::optional<Strike> next_frame();

private:
    std::array<FaultRule, nic_fault_count> rules_;
    bool any_;
    std::uint64_t frame_ = 0;
    std::mt19937_64 random_;
};

} // namespace clearframe
