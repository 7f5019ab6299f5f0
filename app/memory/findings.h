// What the doctor learns from this room: guest, kernel, heaps, swiotlb, limits.
//
// Each reads files below `root` ("/", or the picture of another machine) and changes nothing. None
// throws for what is missing or may not be read: that is a finding.
#pragma once

#include "core/finding.h"
#include "memory/heap.h"

#include <filesystem>
#include <memory>
#include <vector>

namespace clearframe {

Report report_guest(const std::filesystem::path& root);
Report report_kernel(const std::filesystem::path& root);
// The heaps as probe_heaps() and probe_frame_heaps() find them. Trials: mapping a buffer; whether
// what was written outlasts the bracket of the CPU's access; and pinning the pages of the mapping,
// as a driver does that registers memory by its address.
Report report_heaps(const std::filesystem::path& root);
Report report_swiotlb(const std::filesystem::path& root);
Report report_limits(const std::filesystem::path& root);

// The heaps that probe_heaps() finds usable, opened, best first.
std::vector<std::unique_ptr<Heap>> usable_heaps(const std::filesystem::path& root);

// A small buffer to try importers with. Throws Error.
DmaBuf trial_buffer(const Heap& heap, std::size_t bytes, ExposureMeter& meter);

} // namespace clearframe
