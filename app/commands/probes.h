// Probes in processes of their own: they run at once, and a driver that hangs or crashes in one
// ends neither the program nor the other probes.
#pragma once

#include "core/clock.h"
#include "core/finding.h"

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace clearframe {

struct Probe {
    std::string name;
    std::function<Report()> run; // runs in a child process: what it changes stays there
};

// Runs all of them, for as long as `timeout` at most, and returns their reports in order. Where one
// crashed, threw or did not end in time (then it is killed), its report says so. Call it before the
// process has other threads. `waiting` is called now and then with the names of those that are not
// done. Throws Error: no process, no descriptor.
std::vector<Report> run_probes(std::span<const Probe> probes, Nanoseconds timeout,
                               const std::function<void(const std::string&)>& waiting);

} // namespace clearframe
