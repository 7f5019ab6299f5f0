// The emulated NIC's engine: a thread that does what DMA hardware would.
#pragma once

#include "memory/copy.h"
#include "nic/emulated/device_memory.h"
#include "nic/emulated/link.h"
#include "nic/emulated/options.h"
#include "nic/emulated/peer.h"
#include "nic/emulated/queue_pair.h"

#include <poll.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

namespace clearframe {

// Ends that write to each other. Under the engine's mutex, but for `ended`.
struct Connection {
    std::deque<QueuePair> ends;           // both; or one, whose other is `peer`
    std::unique_ptr<emulated::Peer> peer; // in another process; null where both ends are here
    std::atomic<bool> ended{false};       // an end is closed: nothing moves any more

    // What the writes of `end` go to, if that is here.
    QueuePair* other(const QueuePair& end) {
        return peer ? nullptr : &ends[&end == &ends[0] ? 1 : 0];
    }
    bool may_send(const QueuePair& end) const {
        return end.has_send() && (!peer || peer->has_room());
    }
};

// Serves all connections of one NIC, one write at a time, taking one from each end in turn. Holds
// no lock while it copies. It is woken only when it sleeps with nothing to do, and wakes only those
// who wait. Thread-safe, but for the destructor: all connections are closed by then.
class Engine {
public:
    using Memory = std::shared_ptr<const DeviceMemory>;

    static constexpr const char* thread_name = "cf-nic";

    // Starts the thread. Throws Error.
    explicit Engine(const EmulatedNicOptions& options);
    ~Engine();

    Memory register_memory(Mapping mapping, RemoteAccess access, UniqueFd fd);
    // Work under way ends on the memory that it began with; what is still queued will fail. Blocks
    // until peers in other processes know, for a second at most.
    void deregister_memory(const DeviceMemory& memory);
    Memory find_local(std::uint32_t lkey) const; // null if there is none
    Memory find_remote(std::uint32_t rkey) const;

    // What a peer in another process is to be let write.
    std::vector<Memory> writable() const;

    std::shared_ptr<Connection> connect(std::uint32_t depth);
    std::shared_ptr<Connection> connect(std::uint32_t depth, emulated::Acquaintance peer);
    // Closes one end. When this returns, the connection moves no byte any more. Blocks for a
    // fraction of a millisecond; for a second where a peer in another process lives and does not
    // answer: it is then not known to be at rest.
    void close(Connection& connection, QueuePair& end);

    // For the calls of QueuePair.
    std::unique_lock<std::mutex> lock() { return std::unique_lock(mutex_); }
    Nanoseconds post_time() const { return link_.has_rate() ? now() : 0; }
    Nanoseconds due_time() const { return now() + latency_; }
    bool is_idle() const { return idle_; } // and shows nothing more until it gets work
    // There is something to do now. Gives up the lock.
    void wake(std::unique_lock<std::mutex>& lock);

    // The bare copy, on this thread, of `source`'s memory in turn to `target`'s in turn, for about
    // `duration`; no queue, no link. GB/s. Blocks.
    double plain_gbytes_per_s(std::span<const Memory> source, std::span<const Memory> target,
                              Nanoseconds duration);
    double link_gbytes_per_s() const { return link_.gbytes_per_s(); } // 0: no limit

    Nanoseconds cpu() const { return read_clock(cpu_clock_); }

private:
    // A write that has been taken from its queue.
    struct Transfer {
        Connection* connection = nullptr;
        QueuePair* from = nullptr;
        QueuePair* to = nullptr; // null: the connection's peer
        Work work;
        WcStatus status = WcStatus::success;
        std::optional<FaultSource::Strike> fault;
        Memory source, target;           // held until the end, whoever deregisters them
        std::span<const std::byte> read; // what is to be moved; empty for none
        std::byte* write = nullptr;
        Nanoseconds link_end = 0;

        bool has(NicFault kind) const { return fault && fault->fault == kind; }
    };
    struct PlainRun {
        std::span<const Memory> source, target;
        Nanoseconds duration = 0;
        double gbytes_per_s = 0;
        bool done = false;
    };

    void run();
    bool begin_transfer(Transfer& transfer);
    bool take_work(Transfer& transfer);
    WcStatus check(Transfer& transfer) const;
    void strike(Transfer& transfer);
    void move_bytes(const Transfer& transfer);
    void finish_transfer(Transfer& transfer);
    void serve_peers();
    void give_up_remains(std::unique_lock<std::mutex>& lock);
    void leave(std::unique_lock<std::mutex>& lock, emulated::Peer& peer);
    void ring();
    void run_plain(std::unique_lock<std::mutex>& lock);
    void publish(bool quiet);
    void wake_waiters(std::unique_lock<std::mutex>& lock);
    void sleep(std::unique_lock<std::mutex>& lock);

    const EmulatedNicOptions options_;
    const Nanoseconds latency_;
    const CopyFunction copy_;

    mutable std::mutex mutex_; // guards all below
    RegionTable regions_;
    std::vector<std::shared_ptr<Connection>> connections_;
    std::uint64_t ends_made_ = 0;
    Link link_;
    std::size_t next_end_ = 0;            // whose turn it is
    const Connection* current_ = nullptr; // whose bytes are being moved
    PlainRun* plain_ = nullptr;
    bool stalled_ = false;
    bool giving_up_ = false; // remains_
    bool stopping_ = false;
    bool idle_ = false;               // asleep until there is work
    std::condition_variable settled_; // current_, plain_, giving_up_ or what a peer was asked

    // The thread's own.
    std::vector<std::shared_ptr<QueuePair>> woken_; // to be woken once the mutex is free
    Nanoseconds next_event_ = QueuePair::never;     // when publish() has something to do next
    bool has_peers_ = false;
    std::vector<emulated::Peer::Remains> remains_;
    std::vector<pollfd> polled_;

    UniqueFd bell_; // an eventfd: wakes the thread

    std::jthread thread_;
    clockid_t cpu_clock_{};
};

} // namespace clearframe
