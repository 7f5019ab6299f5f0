// A demo that was recorded: its snapshot, and the frames that were to be seen, made again.
#pragma once

#include "gpu/frame_view.h"
#include "measure/snapshot.h"
#include "memory/heap.h"
#include "ui/panel.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace clearframe {

// What a file made by `demo --record` says. By hand a member `ui` may be added to it, of which each
// part is optional: {"help": true, "doctor": true, "scroll": y, "pointer": [x, y]}: which view lies
// over the panel, moved up by how much, and the pointer's place, both in units (ui/theme.h).
struct Recording {
    Snapshot snapshot;
    Overlay overlay = Overlay::none;
    float scroll = 0;
    std::optional<std::pair<double, double>> pointer;
};

// Throws Error: unavailable for a file that cannot be read, usage for one that says something
// else, with the member's name.
Recording read_recording(const std::string& path);
Recording recording_from_json(std::string_view json, std::string_view name);

// The frames that a snapshot shows, made by the CPU into memory that the display imports as it does
// a receiver's slots.
class ReplayedFrames {
public:
    // `views` must outlive this. Throws Error.
    ReplayedFrames(const Snapshot& snapshot, const FrameViews& views);

    // Null where the path showed none. The frame is in slot 0.
    std::shared_ptr<const ViewedSlots> find(const std::string& path) const;

private:
    ExposureMeter exposure_;
    std::unique_ptr<Heap> heap_;
    std::vector<DmaBuf> slots_;
    std::map<std::string, std::shared_ptr<const ViewedSlots>> views_;
};

} // namespace clearframe
