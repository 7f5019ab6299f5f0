// The record of a run: what `bench` stores and every comparison starts from. docs/results.md
// describes each field.
#pragma once

#include "core/choice.h"
#include "measure/interval.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace clearframe {

// The machine and the program, as far as they bear on a figure.
struct Environment {
    std::string program;      // "clearframe 0.1.0 (git 1a2b3c4d5e6f)"
    std::string time;         // UTC, ISO 8601
    std::string kernel;       // uname -r
    std::string distribution; // PRETTY_NAME of os-release
    std::string cpu;          // model name
    std::uint32_t cores = 0;  // this process may run on
    std::uint64_t memory_bytes = 0;
    std::string guest; // "SEV-SNP", "TDX", "none", …: the kind of confidential guest
    std::string build; // "Release, GNU 12.2.0"
};
// `guest` is left for the caller. What the system does not say is "unknown" or 0. `root` stands in
// for "/" in tests.
Environment read_environment(const std::filesystem::path& root = "/");

// One of the chosen parts: heap, GPU, NIC.
struct Part {
    std::string kind; // "heap", "gpu", "nic"
    std::string name;
    std::string detail;
    bool emulated = false;
    std::string emulation; // in what way
    std::vector<Refusal> refused;
};

struct Quantiles {
    double p50 = 0, p99 = 0, p99_9 = 0, max = 0; // microseconds
};

struct BlockRecord {
    std::uint32_t index = 0; // in the order they ran, over all paths
    std::uint64_t frames = 0;
    double seconds = 0;
    double gbytes_per_s = 0;
};

struct PathRecord {
    std::string path;
    std::uint64_t frames = 0;
    std::uint64_t lost = 0;
    std::uint64_t corrupt = 0;
    std::uint64_t rejected = 0;
    std::uint64_t verified_pixels = 0;
    double mean_gbytes_per_s = 0, min_gbytes_per_s = 0, p5_gbytes_per_s = 0;
    double frames_per_s = 0;
    Quantiles latency_us;
    std::map<std::string, double> stages_us; // medians: render, copy, post, wire, copy_out, verify
    double cpu_ms_per_gbyte = 0;             // both threads, outside the GPU's driver
    double cpu_us_per_frame_own = 0;         // … and outside copies
    double copy_gbytes_per_s = 0;            // of the copies themselves, by CPU time; 0: none made
    std::uint64_t cpu_copied_bytes = 0;
    std::uint64_t pool_waits = 0;
    bool same_buffer = false; // the fds imported by the GPU and registered by the NIC are those of
                              // the heap, by inode: true for a path without a copy
    std::vector<BlockRecord> blocks;
};

struct Comparison {
    std::string baseline;
    std::map<std::string, RatioInterval> paths; // every other path, by name
};

struct SceneRecord {
    std::string scene;
    std::vector<PathRecord> paths;
    std::optional<Comparison> comparison; // where a baseline and another path ran
};

struct Limits {
    double dma_gbytes_per_s = 0;  // the NIC's engine, the same buffers, nothing else going on
    double copy_gbytes_per_s = 0; // the CPU's copy, likewise
    std::string copy_method;
};

// Frames shown on a screen while they were measured.
struct PresentRecord {
    std::string card, driver, connector; // "card0", "bochs-drm", "Virtual-1"
    std::uint32_t width = 0, height = 0; // of the mode: what was seen of each frame
    std::uint32_t hz = 0;
    std::string emulation; // of a screen that is not there outside the kernel: in what way
    std::uint64_t frames = 0;
    bool same_buffer = false; // the card shows the very buffers they were received in, by inode
};

// What latencies were taken between, all on one clock.
enum class LatencyOf {
    one_way,    // a frame's beginning and its arrival, both on this host
    round_trip, // its beginning and the receiver's credit
    nothing,    // the sender's clock is another one
};

// The other end of the stream, where it is another process or host: by its own word.
struct PeerRecord {
    std::string role; // "sender", "receiver"
    std::string address;
    std::string program;
    std::vector<Part> parts; // of non-empty name and emulation, no refusals
};

struct RunRecord {
    std::string role = "both"; // which ends this record is of: "both", "sender", "receiver"
    std::optional<PeerRecord> peer;
    LatencyOf latency = LatencyOf::one_way;
    Environment environment;
    // The options as they came out of parsing, defaults filled in: name → JSON text of the value.
    std::map<std::string, std::string> config;
    std::vector<Part> parts;
    std::uint64_t host_readable_bytes = 0; // shared memory at its peak
    Limits limits;
    std::vector<SceneRecord> results;
    std::optional<PresentRecord> presented; // if that was asked for
    bool ended_early = false;               // by Ctrl-C
    std::vector<std::string> warnings;

    // Kinds of the emulated parts, each once; "receiver nic" for the peer's.
    std::vector<std::string> emulated() const;
    bool any_bad_frame() const; // lost, corrupt or rejected
};

// Both round to 5 significant digits and end in a newline. Neither throws for anything measured;
// a value of `config` that is not JSON is a mistake of the program and does.
std::string to_json(const RunRecord& record);
// One row a block: scene,path,block,frames,seconds,gbytes_per_s,emulated.
std::string to_csv(const RunRecord& record);

} // namespace clearframe
