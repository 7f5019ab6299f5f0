// What tests of the pipeline share.
#pragma once

#include "core/clock.h"
#include "measure/meters.h"
#include "nic/nic.h"

namespace clearframe::test {

// Longer than anything takes that works.
inline constexpr Patience patient{.timeout = 10 * one_second};

// Of one path.
struct Figures {
    SendMeter sent;
    ReceiveMeter received{one_second};
};

} // namespace clearframe::test
