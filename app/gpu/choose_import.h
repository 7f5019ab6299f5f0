// How slots of a heap reach a device: found out by importing one. Inside gpu/ only.
#pragma once

#include "gpu/import.h"

namespace clearframe {

// The best way that `options` leave, with the reasons against better ones in `info` (import,
// import_reason, target, target_reason, uses_modifiers). Allocates a small buffer of `heap` for the
// trial. Throws Error: unavailable.
ImportMethod choose_import(const GpuDevice& device, const Heap& heap, const GpuOptions& options,
                           GpuInfo& info);

// What stands for the devices where there is none.
Candidate no_device();

} // namespace clearframe
