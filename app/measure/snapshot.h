// A running demo at one moment: all that the window shows, as plain values. Taken between frames,
// drawn as often as one likes, stored by `demo --record` and drawn again by `demo --replay`.
#pragma once

#include "measure/doctor_record.h"
#include "measure/record.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace clearframe {

// What can be changed while the demo runs. Names are those of the command line.
struct DemoSettings {
    std::vector<std::string> paths; // that take part, in the order of path_types()
    bool interleaved = true;        // false: each path has some seconds before the next
    std::uint32_t width = 1920, height = 1080;
    std::string scene = "waves";
    std::string verify = "sampled";
    std::uint32_t ring = 8;     // slots at each end
    double nic_gbits_per_s = 0; // of the emulated NIC; 0: as fast as memory allows
    bool paused = false;

    bool operator==(const DemoSettings&) const = default;
};

// What the settings can be on this machine.
struct DemoChoices {
    std::vector<std::string> paths;
    std::vector<std::string> scenes; // `none` alone where there is no GPU
    std::uint32_t least_ring = 2;    // one slot is looked at while another is written
    std::uint32_t most_ring = 0;
    bool nic_rate = false; // only the emulated NIC's can be set
};

// One path since the settings were last changed.
struct PathSnapshot {
    // The throughput's history: 30 s in bins of a quarter of a second, the oldest first. It goes on
    // when settings change; all else starts anew.
    static constexpr double bin_s = 0.25;
    static constexpr std::size_t bins = 120;

    std::string name;
    bool running = false;                           // its block is the present one
    std::uint64_t frames = 0;                       // arrived, good or not
    std::uint64_t verified = 0;                     // of them, looked at and found good
    std::uint64_t lost = 0, corrupt = 0;            // frames
    std::uint64_t rejected = 0;                     // completions that made no sense
    std::uint64_t cpu_copied_bytes = 0;             // by this program's code, at both ends
    bool same_buffer = false;                       // as in PathRecord
    double gbytes_per_s = 0, frames_per_s = 0;      // while it ran, of the last few seconds
    Quantiles latency_us;                           // begun → usable at the receiver
    std::map<std::string, double> stages_us;        // as in PathRecord
    double cpu_ms_per_gbyte = 0;                    // as in PathRecord
    std::uint64_t pool_bytes = 0;                   // of its staging pool; 0: it has none
    std::optional<std::uint64_t> shown;             // sequence of the frame in the view
    std::array<std::optional<float>, bins> history; // GB/s; nothing where it did not run
};

// `waiting`: for a sender, where this end only receives.
enum class DemoState { starting, running, paused, failed, waiting };
std::string_view demo_state_name(DemoState state);

// Of the window of `recv --show`, which shows one end of a stream: the sender decides what is sent
// and how, so that there is nothing to choose, and what was measured is this end's.
struct ReceivingEnd {
    std::string listening; // address and port
    std::string sender;    // address and port of the present sender, or the last; empty: none came
    std::string program;   // what it runs
    std::vector<Part> parts; // of the sender, by its own word: heap, gpu, nic
};

// What drawing the window costs, over the last second.
struct PanelCost {
    double frames_per_s = 0;
    double panel_ms = 0; // CPU time of laying the panel out
    double draw_ms = 0;  // drawing views and panel, until the device was done
};

struct Snapshot {
    DemoState state = DemoState::starting;
    double time_s = 0;    // since the start; what moves in the window follows it alone
    std::string trouble;  // what, the native code, what to do; of a run that goes on: why there
                          // is nothing to see of its frames
    std::string progress; // starting, waiting: what is being done
    std::string notice;   // what was just done for the user: "results saved to …"; may be empty

    Environment environment; // its `guest` is what the window calls the guest
    std::vector<Part> parts; // heap, gpu, nic; of a receiving end, the gpu is the sender's
    std::optional<ReceivingEnd> receiving; // nothing where both ends are here
    std::uint64_t host_readable_bytes = 0;

    DemoChoices choices;
    DemoSettings settings; // in force
    DemoSettings asked;    // last asked for, and in force soon; a recording's are its settings
    std::uint32_t stride = 0;
    std::uint64_t frame_bytes = 0; // header to trailer
    std::uint32_t seed = 0;

    std::vector<PathSnapshot> paths;      // those that take part
    std::optional<Comparison> comparison; // of the pairs of blocks since the settings were changed
    Limits limits;
    PanelCost cost;
    std::optional<DoctorView> doctor; // once it was asked for

    // The part of that kind; null where there is none.
    const Part* part(std::string_view kind) const;
};

// Schema "clearframe.snapshot/1" (docs/results.md). to_json() is one object and ends in a newline.
std::string to_json(const Snapshot& snapshot);
// Reads what to_json() wrote, checking every field: throws Error of usage that names the field
// which is missing or wrong; `name` says whose text it is.
Snapshot snapshot_from_json(std::string_view json, std::string_view name);

} // namespace clearframe
