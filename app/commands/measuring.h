// What `bench` and `send` have in common: a measurement under Ctrl-C, its record and its report.
#pragma once

#include "commands/bench_options.h"
#include "commands/bench_run.h"
#include "commands/interrupt.h"
#include "commands/parts.h"
#include "commands/terminal.h"
#include "core/result_file.h"
#include "measure/record.h"

#include <optional>
#include <span>

namespace clearframe {

// Used by one thread, in the order of its functions.
class Measuring {
public:
    // Opens the files to be written and blocks the ending signals. Throws Error.
    explicit Measuring(const BenchOptions& options);

    // Finds and opens heap, GPU and NIC, and reports them. Without a GPU the plan loses the scenes
    // that are rendered, unless they were asked for. Throws Error.
    Parts open();

    // Runs the measurement on a thread of its own and shows its progress. Ctrl-C ends it early.
    // Throws what it threw.
    void run(BenchRun& run, Stream& stream);

    // Reports, writes the files and says the exit status. Throws Error.
    int finish(const BenchRun& run, const Parts& parts, std::span<const FrameFault> faults);

    const BenchOptions& options;
    BenchPlan plan;
    RunRecord record;
    Interrupts interrupts;
    Terminal out; // for results: standard output, unless a file takes that
    Terminal err;

private:
    std::optional<ResultFile> json_;
    std::optional<ResultFile> csv_;
};

} // namespace clearframe
