// The far end of a connection to another process, as this NIC's engine sees it.
#pragma once

#include "core/fixed_queue.h"
#include "nic/emulated/handshake.h"
#include "nic/emulated/protocol.h"
#include "nic/emulated/queue_pair.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <vector>

namespace clearframe::emulated {

// What the far end is told of a write.
struct Arrival {
    std::uint32_t byte_len = 0;
    std::uint32_t immediate = 0;
};

// Tells the far end of writes whose bytes are there, and takes what it says. A write with immediate
// is complete once the far end has confirmed that there was a receive for it; those behind it wait
// for it. Every call is made with the engine's mutex held; none blocks.
class Peer {
public:
    using Memory = std::shared_ptr<const DeviceMemory>;

    // `end` is this side's, of `depth` sends, and outlives this.
    Peer(Acquaintance acquaintance, QueuePair& end, std::uint32_t depth);

    // Takes a share of what has come. True when somebody may have waited for that: a region is
    // revoked, or the peer has gone.
    bool serve(bool stalled, Nanoseconds due);
    // Closed, died, or does not keep to the protocol. Nothing of its memory is found any more.
    bool is_gone() const { return gone_; }
    int fd() const { return socket_.get(); }

    // Whether another write may be begun.
    bool has_room() const { return unconfirmed_ < most_unconfirmed; }
    bool is_broken() const { return broken_; }
    Memory find(std::uint32_t rkey) const { return gone_ ? nullptr : memory_.find(rkey); }
    // The outcome of a send that was taken from the end.
    void finish(const Work& work, WcStatus status, Nanoseconds due,
                const std::optional<Arrival>& arrival);

    // Takes back the right to write a region of this side.
    void revoke(std::uint32_t rkey);
    bool is_revoking(std::uint32_t rkey) const { return revoking_.contains(rkey); }

    // For who closes this side: first what is mapped, to be unmapped; then the peer is told that
    // nothing moves any more. It goes when that is so on its side as well.
    PeerMemory take_memory();
    void hang_up();

    // What is not needed any more, to be given up without the mutex: unmapping takes time. The
    // peer learns by the end of the socket that its memory is at rest.
    struct Remains {
        UniqueFd socket; // goes last
        PeerMemory memory;
        std::vector<Memory> revoked;
    };
    std::optional<Remains> take_remains();

private:
    struct Sent {
        Work work;
        WcStatus status = WcStatus::success;
        Nanoseconds due = 0;
        bool awaits = false; // a confirmation
    };

    bool take(const Note& note, bool stalled, Nanoseconds due);
    bool take_arrival(const Note& note, Nanoseconds due);
    void tell(const Note& note);
    void confirm();
    void settle();
    void fail(WcStatus first, Nanoseconds due);
    void lose(WcStatus status, Nanoseconds due);

    UniqueFd socket_;
    PeerMemory memory_;
    std::vector<Memory> revoked_;  // by the peer, and not given up yet
    std::set<std::uint32_t> told_; // rkeys of this side that it may write
    std::set<std::uint32_t> revoking_;
    QueuePair& end_;
    FixedQueue<Sent> sent_;           // not complete yet
    std::uint32_t unconfirmed_ = 0;   // of them, await a confirmation
    std::uint32_t confirmations_ = 0; // come, for the first of them
    std::uint32_t to_confirm_ = 0;
    std::uint32_t ignored_ = 0; // notes that came too late
    bool broken_ = false;       // a send has failed, or will when those before it are complete
    bool unreachable_ = false;
    bool hung_up_ = false;
    bool gone_ = false;
};

} // namespace clearframe::emulated
