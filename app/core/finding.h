// What probing has found out about a machine: what the doctor reports.
//
// Each room makes its own findings, with the code that a real start runs.
#pragma once

#include "core/choice.h"
#include "core/error.h"

#include <string>
#include <string_view>
#include <vector>

namespace clearframe {

enum class Health {
    good,
    attention, // emulated, slower or unknown: it runs, but it is not all there is
    missing,   // the real path needs it, and it is not there
};
// "good", "attention", "missing".
std::string_view health_name(Health health);

struct Finding {
    std::string subject; // what it is about: "system_cc_shared", "mlx5_0 port 1"
    Health health = Health::good;
    std::string sentence; // without its full stop
    std::string mend;     // the command or the change that mends it; empty if good
};

// What did not work: the error's reason as the sentence, its advice as what mends it.
Finding failed(std::string subject, Health health, const Error& error);
// Why a candidate is not usable, likewise.
Finding not_usable(const Candidate& candidate, Health health);

// One heap's memory given to one importer.
struct ImportTrial {
    std::string heap;
    std::string importer; // "llvmpipe (LLVM 15.0.6, 256 bits), as buffer"
    std::string error;    // exactly why not; empty if it was taken

    bool imported() const { return error.empty(); }
};

// A part of the real path: not emulated, ready, and fit for memory of this heap.
struct RealPart {
    std::string heap;
    std::string name;
};

// What one probe found.
struct Report {
    std::vector<Finding> findings;
    std::vector<ImportTrial> trials;
    std::vector<RealPart> real;
};

// "a, b", and whether this importer takes memory of the heaps at all: a finding for the trials of
// one importer. `does` is how it takes them ("imported as a buffer"). `mend` is for where it does
// not.
Finding summary(std::string subject, std::string_view does, const std::vector<ImportTrial>& trials,
                std::string_view mend);

} // namespace clearframe
