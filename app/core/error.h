// Errors: what failed, the native code, and what to do about it, in one line.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace clearframe {

// Why a command could not go on. The values are the program's exit statuses.
enum class Failure {
    run = 1,         // the run failed, or a frame was lost or corrupt
    usage = 2,       // the command line asks for something that makes no sense
    unavailable = 3, // what was named or required cannot be had on this machine
    not_real = 4,    // doctor: something of the real path is emulated or missing
};

// Thrown by everything that sets up. The frame loop throws it too, but only to end the run.
// what() is the whole line: "WHAT: NATIVE. ADVICE".
class Error : public std::runtime_error {
public:
    // `what`: which step failed, on which object ("heap system: allocating 8.3 MB").
    // `native`: the code of the layer below, by name and number; empty where there is none.
    // `advice`: what the reader can do; a sentence without its full stop; may be empty.
    Error(Failure failure, std::string_view what, std::string_view native, std::string_view advice);

    Failure failure() const noexcept { return failure_; }
    // The two halves of what(): "WHAT: NATIVE", and "ADVICE", which may be empty. Valid as long as
    // the Error.
    std::string_view reason() const noexcept { return {what(), reason_size_}; }
    std::string_view advice() const noexcept;

private:
    Failure failure_;
    std::size_t reason_size_;
};

// "ENOMEM (12: Cannot allocate memory)".
std::string errno_text(int error);

// Throws an Error with errno_text(error) as its native code. Take errno before anything else
// can change it: `throw_errno(errno, …)` evaluates it at the call.
[[noreturn]] void throw_errno(int error, std::string_view what, std::string_view advice = {},
                              Failure failure = Failure::run);

} // namespace clearframe
