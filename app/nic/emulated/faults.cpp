#include "nic/emulated/faults.h"

#include <cmath>

namespace clearframe {

FaultSource::FaultSource(const EmulatedNicOptions& options, std::uint64_t stream)
    : rules_(options.faults), any_(options.has_faults()) {
    std::seed_seq seed{options.seed, options.seed >> 32, stream};
    random_.seed(seed);
}

std::optional<FaultSource::Strike> FaultSource::next_frame() {
    if (!any_)
        return std::nullopt;
    const std::uint64_t frame = frame_++;
    std::optional<Strike> strike;
    // Every rule draws for every frame, so that one rule does not change what another strikes.
    for (std::size_t i = 0; i < nic_fault_count; ++i) {
        const double chance = std::ldexp(static_cast<double>(random_() >> 11), -53);
        const bool hit =
            rules_[i].at_frame ? *rules_[i].at_frame == frame : chance < rules_[i].probability;
        if (hit && !strike)
            strike = Strike{static_cast<NicFault>(i), 0};
    }
    const std::uint64_t random = random_();
    if (strike)
        strike->random = random;
    return strike;
}

} // namespace clearframe
