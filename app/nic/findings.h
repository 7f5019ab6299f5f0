// What the doctor learns from this room: NICs and RDMA devices.
#pragma once

#include "core/finding.h"

#include <filesystem>

namespace clearframe {

// The NICs of probe_nics(), then the RDMA devices below `root` ("/", or the picture of another
// machine): ports and GIDs as /sys says, and what only libibverbs can tell (capabilities,
// registering memory of each usable heap, by trying), which a picture has not. Changes nothing.
// Throws for nothing that is missing or may not be opened: that is a finding.
Report report_nics(const std::filesystem::path& root);

} // namespace clearframe
