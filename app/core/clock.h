// Clocks. Every time in this program is nanoseconds of one of these.
#pragma once

#include <time.h>

#include <algorithm>
#include <cstdint>

namespace clearframe {

using Nanoseconds = std::int64_t;

inline constexpr Nanoseconds one_second = 1'000'000'000;
inline constexpr Nanoseconds one_hour = 3600 * one_second;

// As system calls take it. `time` is not negative.
inline timespec timespec_of(Nanoseconds time) noexcept {
    return {.tv_sec = static_cast<time_t>(time / one_second),
            .tv_nsec = static_cast<long>(time % one_second)};
}

inline Nanoseconds read_clock(clockid_t clock) noexcept {
    timespec t{};
    clock_gettime(clock, &t);
    return Nanoseconds{t.tv_sec} * one_second + t.tv_nsec;
}

// CLOCK_MONOTONIC: the same in every process of one machine, never compared between two.
inline Nanoseconds now() noexcept { return read_clock(CLOCK_MONOTONIC); }

// From now() until `deadline`, or 0: the time-out of a call that waits for it.
inline timespec time_until(Nanoseconds deadline) noexcept {
    return timespec_of(std::max<Nanoseconds>(deadline - now(), 0));
}

// CPU time of the calling thread, and of the whole process.
inline Nanoseconds thread_cpu() noexcept { return read_clock(CLOCK_THREAD_CPUTIME_ID); }
inline Nanoseconds process_cpu() noexcept { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }

} // namespace clearframe
