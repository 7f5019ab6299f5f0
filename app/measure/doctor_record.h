// What `doctor` found, in the form that is stored. docs/results.md describes each field.
#pragma once

#include "core/finding.h"
#include "measure/record.h"

#include <string>
#include <string_view>
#include <vector>

namespace clearframe {

struct DoctorSection {
    std::string name; // "guest", "heaps", …
    Report report;
};

// The parts of the real path that are there: each the best, by name; empty where there is none.
struct RealPath {
    std::string heap;
    std::string gpu;
    std::string nic;
    bool whole = false; // all three, and GPU and NIC take memory of that heap
};

struct DoctorRecord {
    Environment environment;
    std::string root; // "/", or the folder that stood in for it
    std::vector<DoctorSection> sections;

    RealPath real_path() const;
};

// What of a record the demo's window shows.
struct DoctorView {
    struct Section {
        std::string name;
        std::vector<Finding> findings;
    };
    bool looking = false; // the probes still run, and nothing is known yet
    std::string trouble;  // why nothing could be found out; empty if all went well
    std::vector<Section> sections;
    std::vector<ImportTrial> matrix;
    RealPath real_path;
};

// In a sentence: what is there of the real path, or that the whole is.
std::string verdict(const RealPath& path);

// Ends in a newline. Does not throw for anything found.
std::string to_json(const DoctorRecord& record);
// What to_json() wrote. Throws Error of usage that names the field which is missing or wrong;
// `name` says whose text it is.
DoctorView doctor_view_from_json(std::string_view json, std::string_view name);

// A report as text, for another process of this program, and back. Throws nlohmann's error for a
// text that is none.
std::string pack(const Report& report);
Report unpack(std::string_view text);

} // namespace clearframe
