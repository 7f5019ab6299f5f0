// The emulated NIC: a thread of this process moves the bytes, also into memory of other processes
// of this machine.
#pragma once

#include "nic/emulated/options.h"
#include "nic/nic.h"

#include <memory>

namespace clearframe {

// A NIC as a confidential guest would see it: it refuses private memory, checks keys, ranges and
// rights when it executes a write, and answers with a verb's completions. An error breaks both
// ends of its connection. All connections share one link. Takes memory as coherent: it moves the
// bytes with no DMA_BUF_IOCTL_SYNC of its own. Throws Error.
std::unique_ptr<Nic> make_emulated_nic(const EmulatedNicOptions& options);

} // namespace clearframe
