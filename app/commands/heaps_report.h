// Heaps and what their buffers cost, for people.
#pragma once

#include "commands/terminal.h"
#include "measure/heaps_record.h"

#include <cstddef>

namespace clearframe {

// Each heap, usable or why not, and its limits; then, if it was timed, a table a heap, and what
// converting pages costs.
void report_heap_list(Terminal& out, const HeapsRecord& record, std::size_t width);
void report_heap_times(Terminal& out, const HeapsRecord& record, std::size_t width);

// "4 KiB", "256 MiB", "5000 bytes".
std::string binary_bytes_text(std::uint64_t bytes);

} // namespace clearframe
