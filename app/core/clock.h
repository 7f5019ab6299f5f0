// Clocks. Every time in this program is nanoseconds of one of these.
#pragma once

#include <time.h>

#include <cstdint>

namespace clearframe {

using Nanoseconds = std::int64_t;

inline Nanoseconds read_clock(clockid_t clock) noexcept {
    timespec t{};
    clock_gettime(clock, &t);
    return Nanoseconds{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

// CLOCK_MONOTONIC: the same in every process of one machine, never compared between two.
inline Nanoseconds now() noexcept { return read_clock(CLOCK_MONOTONIC); }

// CPU time of the calling thread, and of the whole process.
inline Nanoseconds thread_cpu() noexcept { return read_clock(CLOCK_THREAD_CPUTIME_ID); }
inline Nanoseconds process_cpu() noexcept { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }

} // namespace clearframe
