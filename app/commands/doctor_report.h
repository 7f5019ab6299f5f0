// What the doctor found, for people.
#pragma once

#include "commands/terminal.h"
#include "measure/doctor_record.h"

#include <cstddef>

namespace clearframe {

// Every section, the import matrix, and in the end whether the real path is whole. No line is wider
// than `width` columns, unless a word is.
void report_doctor(Terminal& out, const DoctorRecord& record, std::size_t width);

} // namespace clearframe
