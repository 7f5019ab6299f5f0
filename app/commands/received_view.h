// What the window of `recv --show` shows: told by the thread that serves the sender, read by the
// display's.
#pragma once

#include "commands/live_rates.h"
#include "gpu/frame_view.h"
#include "measure/record.h"
#include "measure/snapshot.h"
#include "memory/exposure.h"
#include "pipeline/remote_receiver.h"

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace clearframe {

// The slots of a ring whose frames are seen: one is looked at while another is written.
inline constexpr std::uint32_t least_seen_ring = 2;

class ReceivedView {
public:
    // `views` must outlive it; `about` says what this end is, `keeps` whether it goes on listening
    // once a sender has gone.
    ReceivedView(FrameViews& views, const RunRecord& about, std::string listening, bool keeps);

    // From here on: the thread that serves. -------------------------------------------------------

    // A sender was accepted: imports the slots of each path. Where that cannot be, its figures are
    // shown without frames, and the window says why. `receiver` and `exposure` must stay until
    // end(), `sender` are its parts.
    void begin(const RemoteReceiver& receiver, const std::vector<Part>& sender,
               const ExposureMeter& exposure);
    // Where the newest frame of that block is to wait, or null. Valid until the next begin().
    FrameTap* begin_block(std::shared_ptr<const ReceivedPath> block);
    void end_block();
    // The sender has gone. Waits for the frame that is being drawn: afterwards nothing reads the
    // slots. What was measured stays to be seen.
    void end();
    // Why it has gone, if not in order.
    void say(std::string trouble);

    // From here on: the display's thread. ---------------------------------------------------------

    // Without the members that the window fills in: notice, cost.
    Snapshot snapshot() const;
    // Draws the newest frame of each path that has one, and notes in the snapshot which is shown.
    void draw_frames(Snapshot& snapshot);

private:
    // A path's figures since its scene began.
    struct Path {
        std::string name;
        bool same_buffer = false;
        std::shared_ptr<const ReceivedPath> received; // null: no block of the scene yet
        RecentTotals recent;
        RateHistory history;
        double cpu_ms_per_gbyte = 0; // of whole blocks: CPU time is known at their end
    };
    struct Looked {
        std::shared_ptr<const ViewedSlots> slots; // null: nothing to see
        std::unique_ptr<FrameTap> tap = std::make_unique<FrameTap>();
        std::optional<std::uint64_t> shown; // sequence
    };
    struct Block {
        std::size_t path = 0; // of paths_
        Nanoseconds begun = 0;
        Totals before; // of its path
    };

    FrameViews& views_;
    const Nanoseconds started_ = now();
    const std::string after_; // a sender: what is done then, in words

    mutable std::mutex mutex_; // guards these; never held for a draw
    Snapshot about_;           // all but what is told of each path
    const ExposureMeter* exposure_ = nullptr;
    std::vector<Path> paths_;
    std::optional<Block> block_; // that runs

    std::mutex looking_; // guards these; held while a frame is drawn. begin() and end() change them
    std::vector<Looked> looked_;
};

} // namespace clearframe
