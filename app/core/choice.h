// Choosing one of several heaps, GPUs or NICs: one rule for all of them.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace clearframe {

// What probing found out about one candidate. Probes list them best first.
struct Candidate {
    std::string name;   // as the command line names it
    std::string detail; // what it is, for people ("Mesa 25.0.7, software"); may be empty
    bool usable = false;
    std::string refusal;   // if not usable: why, and what would change that
    std::string mend;      // the end of the refusal that says what would change it; may be empty
    bool emulated = false; // not the real thing: named wherever a figure made with it is shown
    std::string emulation; // if emulated: in what way ("memfd: the host's view is not changed")
};

struct Refusal {
    std::string name;
    std::string reason;
};

struct Choice {
    std::size_t index = 0;        // into the candidates
    bool by_name = false;         // asked for by name, not found by `auto`
    std::vector<Refusal> refused; // every better candidate, and why it was not taken
};

// Picks the first usable candidate (`requested` "auto" or empty) or the one so named. Pure.
// `kind` ("heap", "GPU", "NIC") is for the messages. A name that no candidate has is an Error of
// usage that lists the names; a named candidate that cannot be used, or no usable one at all, is
// an Error of availability with the reasons.
Choice choose(std::string_view kind, std::string_view requested,
              std::span<const Candidate> candidates);

} // namespace clearframe
