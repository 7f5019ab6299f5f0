#include "nic/emulated/link.h"

#include <algorithm>

namespace clearframe {
namespace {

// Waking up late is made up for, up to this much; memory slower than the link is not: what it
// could not move then must not pass faster than the rate later.
constexpr Nanoseconds most_made_up = 10'000'000;

} // namespace

Nanoseconds Link::occupy(std::uint64_t bytes, Nanoseconds posted, Nanoseconds time) {
    if (!has_rate())
        return time;
    const Nanoseconds start = std::max({free_at_, posted, time - most_made_up});
    const double duration = static_cast<double>(bytes) * 8 / gbits_per_s_ + fraction_;
    const auto whole = static_cast<Nanoseconds>(duration);
    fraction_ = duration - static_cast<double>(whole);
    free_at_ = start + whole;
    return free_at_;
}

} // namespace clearframe
