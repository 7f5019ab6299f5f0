// What to do when the kernel has run out of something.
#pragma once

#include <string_view>

namespace clearframe {

// By errno; empty for an error that is no shortage.
std::string_view shortage_advice(int error);

} // namespace clearframe
