// A stream that runs until it is told otherwise, and can be changed while it does: what the window
// shows.
#pragma once

#include "commands/live_rates.h"
#include "commands/parts.h"
#include "commands/path_run.h"
#include "commands/stream_options.h"
#include "measure/snapshot.h"
#include "pipeline/session.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace clearframe {

class ViewedSlots; // gpu/frame_view.h

// Imports the buffers that a path's received frames are read from, for who draws them. Called on
// the run's thread whenever a session is built. May throw Error: then there is nothing to see, and
// the snapshot says why.
using ImportFrames = std::function<std::shared_ptr<const ViewedSlots>(std::span<const DmaBuf> slots,
                                                                      const FrameLayout& layout)>;

// A received frame, for as long as it is looked at. Destroy it soon: the block of frames does not
// end before. The slots stay imported as long as this exists.
struct ViewedFrame {
    std::shared_ptr<const ViewedSlots> slots; // null without an ImportFrames
    HeldFrame frame;
};

// Runs blocks of frames on a thread of its own (cf-live), for as long as it exists. Every call is
// thread-safe, and none waits for frames. What can be changed without losing sight of the present
// frames keeps the session; a change always waits for them: no frame is ever given up for it.
class LiveRun {
public:
    // `options` say what cannot be changed, `settings` what can and where it begins; `parts` are
    // those that the options ask for. Throws Error for settings that make no sense; everything
    // later that goes wrong shows in the snapshot.
    LiveRun(const StreamOptions& options, const DemoSettings& settings, Parts parts,
            ImportFrames import = {});
    // Ends the present block and everything else. Blocks until it has come to rest, the options'
    // `timeout` at most.
    ~LiveRun();
    LiveRun(const LiveRun&) = delete;
    LiveRun& operator=(const LiveRun&) = delete;

    // Takes effect at the end of the present block, which it brings about. Of several changes that
    // come meanwhile the last counts. Figures start anew, unless only `paused` has changed.
    // Settings that cannot be had end the run (DemoState::failed) until the next change.
    void apply(const DemoSettings& settings);
    // Opens and builds everything anew, with the settings last asked for.
    void restart();

    // Without the members that the window fills in: notice, cost.
    Snapshot snapshot() const;
    // What has been measured since the settings were last changed: of the blocks themselves, the
    // last few thousand of each path.
    RunRecord record() const;

    // The newest frame of that path, if there is one that was not taken yet.
    std::optional<ViewedFrame> take_frame(std::string_view path);

    // Why the run has failed; nothing while it has not.
    std::optional<Error> failure() const;
    // Since the start, whatever was changed meanwhile.
    bool any_bad_frame() const;
    std::vector<FrameFault> faults() const; // the first few
    std::uint64_t validation_messages() const noexcept { return complaints_; }

private:
    struct Stream;
    struct Measured;
    // What was asked for and not done yet.
    struct Request {
        DemoSettings settings;
        bool restart = false;
    };
    // What the snapshot shows of a path in the session, whether it takes part or not.
    struct View {
        std::string path;
        std::shared_ptr<FrameTap> tap;
        std::shared_ptr<const ViewedSlots> slots;
        std::optional<std::uint64_t> shown;
    };
    // The block that is running.
    struct Present {
        std::size_t path = 0; // of measured_
        Nanoseconds begun = 0;
        Totals before; // of its path
    };

    void run() noexcept;
    std::optional<Request> next_request();
    void follow(const Request& request);
    void open_nic_at(double gbits_per_s, const std::string& nic);
    void build(const SessionOptions& session, Scene scene);
    std::shared_ptr<Measured> start_measuring(const SessionOptions& session);
    void run_blocks();
    void run_block(std::size_t path);
    void between_blocks();
    void fail(const Error& error);
    void close_stream();
    void close_parts();
    void show(DemoState state, std::string progress = {});
    void note_faults();

    StreamOptions effective(const DemoSettings& settings) const;

    const StreamOptions options_;
    const ImportFrames import_;
    const Nanoseconds started_ = now();
    const Environment environment_;
    ExposureMeter exposure_;
    std::atomic<bool> cut_{false}; // ends the present block: something is asked for

    // The thread's own.
    DemoSettings following_; // what was asked for, in force or about to be
    std::unique_ptr<Parts> parts_;
    double open_rate_ = 0; // of the NIC, Gb/s
    std::unique_ptr<Stream> stream_;
    // Figures that the receiver may still hold until a frame has arrived under newer ones.
    std::vector<std::shared_ptr<Measured>> retired_;
    std::uint32_t next_block_ = 0;
    Nanoseconds next_limits_ = 0, next_comparison_ = 0;
    std::uint64_t old_complaints_ = 0; // of GPUs that were closed
    std::atomic<std::uint64_t> complaints_{0};

    mutable std::mutex mutex_; // guards all below
    std::condition_variable asked_;
    std::optional<Request> request_;
    DemoSettings wanted_; // last asked for
    bool stopping_ = false;
    DemoState state_ = DemoState::starting;
    std::string progress_, view_trouble_;
    std::optional<Error> failure_;
    DemoSettings settings_; // in force
    std::vector<Part> described_;
    DemoChoices choices_;
    std::shared_ptr<Measured> measured_;
    std::vector<View> views_;
    std::vector<RateHistory> histories_; // of each of path_types()
    std::optional<Present> present_;
    Limits limits_;
    bool bad_frames_ = false; // in figures that are gone
    std::vector<FrameFault> faults_;

    std::jthread thread_;
};

// For settings to begin with: the rate that a NIC's command-line form asks for, Gb/s; 0: none.
// Throws Error of usage.
double nic_rate(std::string_view nic);

} // namespace clearframe
