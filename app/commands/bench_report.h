// The results of a run in words and tables, for people.
#pragma once

#include "commands/terminal.h"
#include "gpu/kms.h"
#include "measure/record.h"
#include "pipeline/verifier.h"

#include <span>

namespace clearframe {

// A line for each part: what was chosen and in what way it is emulated; below it, why nothing
// better was taken.
void report_parts(Terminal& out, std::span<const Part> parts);

// The other end, where it is another process or host, and what of it is emulated.
void report_peer(Terminal& out, const PeerRecord& peer);

// Where frames will be shown, and how much of each.
void report_screen(Terminal& out, const ScreenInfo& screen, std::uint32_t frame_width,
                   std::uint32_t frame_height);

// A table for each scene, the sentence that matters, the limits, and what was emulated.
void report_results(Terminal& out, const RunRecord& record);

// One line for each fault kept, and how many frames went wrong. Nothing if none did.
void report_faults(Terminal& out, const RunRecord& record, std::span<const FrameFault> faults);

} // namespace clearframe
