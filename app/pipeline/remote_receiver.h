// The receiver of a sender that is another process or host: what `recv` runs for each of them.
#pragma once

#include "pipeline/control.h"
#include "pipeline/receive_end.h"
#include "pipeline/remote_stream.h"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace clearframe {

struct ReceiverOptions {
    Nanoseconds patience = 0;      // how long a sender may say and send nothing
    std::uint64_t most_memory = 0; // bytes that one sender may take
    std::uint32_t least_ring = 1;  // slots that it takes to look at frames
};

// One scene on one path, as far as it was received. Any thread may read the meters, and what does
// not change: scene and path; the rest belongs to the thread that serves.
struct ReceivedPath {
    Scene scene = Scene::none;
    std::size_t path = 0;        // index into the hello's
    Verify verify = Verify::off; // of its last block
    ReceiveMeter meter{one_hour};
    struct Block {
        std::uint32_t index = 0;
        ThroughputMeter::Totals totals;
    };
    std::vector<Block> blocks; // the first `most_blocks`
    static constexpr std::size_t most_blocks = 4096;
};

// One sender. Owns the memory that it writes into, which is zeroed and given back at the end,
// whatever the sender did. The thread that made it calls everything but end().
class RemoteReceiver {
public:
    // Holds the sender's hello against this end, and answers it: allocates and registers, tells
    // where the slots are, and waits for its NIC. Blocks, for the options' patience at most. Throws
    // Error, and has told the sender why: what does not fit, or what allocating and connecting
    // throw.
    RemoteReceiver(ControlListener::Caller caller, const SessionParts& parts,
                   const Introduction& introduction, const ReceiverOptions& options,
                   const Event& cancel);
    ~RemoteReceiver();
    RemoteReceiver(const RemoteReceiver&) = delete;
    RemoteReceiver& operator=(const RemoteReceiver&) = delete;

    // Who looks at good frames: called before each block, with what it will be counted in, which
    // may be kept. Before serve().
    using Look = std::function<void(const std::shared_ptr<const ReceivedPath>& block,
                                    const FrameViewer*& viewer, FrameTap*& tap)>;
    void set_look(Look look) { look_ = std::move(look); }

    // Called when a block has ended, on the thread that serves. Before serve().
    void set_on_block(std::function<void()> on_block) { on_block_ = std::move(on_block); }

    // Receives until the sender says good-bye. Blocks. Throws Error: the sender has gone, breaks
    // the rules or has been silent for too long, the NIC failed.
    void serve();

    // Tells the sender to end; serve() returns when it has. Any thread.
    void end() noexcept;

    const std::string& sender() const noexcept { return control_.peer(); }
    const Hello& hello() const noexcept { return hello_; }
    bool same_host() const noexcept { return same_host_; } // then latencies were measured
    std::span<const DmaBuf> frames(std::size_t path) const { return receive_->frames(path); }
    // Whether frames of that path are used in the very buffers that the NIC wrote into, by inode.
    bool same_buffer(std::size_t path) const;
    // In the order in which they began.
    const std::vector<std::shared_ptr<ReceivedPath>>& received() const noexcept {
        return received_;
    }
    // Once serve() has returned.
    const FaultLog& faults() const noexcept { return receive_->faults(); }

private:
    void check_fit() const;
    void answer(const Introduction& introduction, const Event& cancel);
    bool handle(const ControlMessage& message);
    void begin(const Begin& begin);
    void finish(const End& end);
    const std::shared_ptr<ReceivedPath>& present(const Begin& begin);
    void count_frames();
    void reject(const Rejection& rejection) noexcept;
    // Receiving has failed, or the sender's connection is closed. Waits a second for the latter.
    [[noreturn]] void end_failed(bool gone);
    [[noreturn]] void break_rules(const Mismatch& mismatch);
    template <typename T>
    T must(Decoded<T> decoded);
    void say(std::span<const std::byte> message);

    ReceiverOptions options_;
    SessionParts parts_;
    ControlConnection control_;
    Hello hello_;
    bool same_host_ = false;
    SessionOptions session_;
    Event wake_; // end() was called, or the receiver's thread has failed
    std::atomic<bool> end_asked_{false};
    std::uint64_t frames_ = 0; // that arrived, when last counted

    std::unique_ptr<ReceiveMemory> memory_;
    std::unique_ptr<Endpoint> endpoint_; // goes before the memory that the sender writes into
    std::optional<ReceiveEnd> receive_;

    Look look_;
    std::function<void()> on_block_;
    std::vector<std::shared_ptr<ReceivedPath>> received_;
    std::shared_ptr<ReceivedPath> block_; // that runs
    std::uint32_t next_block_ = 0;
    Result before_; // the meter when the block began
};

} // namespace clearframe
