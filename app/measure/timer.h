// Scoped timing.
#pragma once

#include "core/clock.h"
#include "measure/meters.h"

namespace clearframe {

// Adds the CPU time that the calling thread spends in a scope to a counter.
class CpuTimer {
public:
    explicit CpuTimer(Counter& counter) : counter_(counter), start_(thread_cpu()) {}
    ~CpuTimer() { counter_.add(static_cast<std::uint64_t>(thread_cpu() - start_)); }
    CpuTimer(const CpuTimer&) = delete;
    CpuTimer& operator=(const CpuTimer&) = delete;

private:
    Counter& counter_;
    Nanoseconds start_;
};

} // namespace clearframe
