// What `heaps` found and measured, in the form that is stored. docs/results.md describes each
// field.
#pragma once

#include "core/choice.h"
#include "core/clock.h"
#include "measure/record.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace clearframe {

struct HeapEntry {
    Candidate candidate;
    std::optional<std::uint64_t> largest_buffer; // by a rule of the heap's; empty: none, or unknown
};

// One heap at one size: every round, in the order they ran.
struct HeapTimings {
    std::string heap;
    std::uint64_t bytes = 0;
    std::vector<Nanoseconds> allocate, first_touch, free;
    std::string error; // why it was not measured, or not to the end; empty if it was

    std::size_t rounds() const { return allocate.size(); }
};

// What a heap's conversion of pages costs: how much longer it takes than a heap that makes its
// buffers in the same way, but converts nothing. Medians of the rounds' differences.
struct Conversion {
    std::string heap;
    std::string baseline;
    std::uint64_t bytes = 0;
    std::size_t rounds = 0;
    Nanoseconds allocate = 0, free = 0; // may be negative: noise
};

struct HeapsRecord {
    Environment environment;
    std::uint64_t page_bytes = 0;
    std::uint64_t free_bytes = 0; // that a buffer could have had when the record was begun
    std::vector<HeapEntry> heaps;
    bool timed = false;
    bool ended_early = false; // by Ctrl-C
    std::vector<HeapTimings> timings;
    std::vector<std::string> warnings;

    // Of system_cc_shared or system_cc_decrypted against system, where both were measured.
    std::vector<Conversion> conversions() const;
};

// The smallest value that half of them do not exceed; 0 of none.
Nanoseconds median(std::vector<Nanoseconds> values);

// 1e9 bytes a second; 0 where it took no time.
double gbytes_per_s(std::uint64_t bytes, Nanoseconds time);

// Ends in a newline.
std::string to_json(const HeapsRecord& record);

} // namespace clearframe
