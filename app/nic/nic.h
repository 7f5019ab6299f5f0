// NICs: registering frame memory, writing it into a peer's, reaping completions.
//
// The words are those of libibverbs (ibv_post_send(3), ibv_poll_cq(3)). A NIC has few functions;
// what differs between NICs is data (NicInfo).
#pragma once

#include "core/choice.h"
#include "core/clock.h"
#include "core/event.h"
#include "memory/dma_buf.h"
#include "memory/heap.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace clearframe {

// Completion status, with the values of enum ibv_wc_status.
enum class WcStatus : std::uint32_t {
    success = 0,
    local_length_error = 1,
    local_protection_error = 4,
    flushed = 5,
    remote_access_error = 10,
    remote_operation_error = 11,
    retry_exceeded = 12,
    receiver_not_ready = 13,
    fatal = 18,
    general_error = 21,
};
// "IBV_WC_REM_ACCESS_ERR (10)".
std::string wc_status_text(WcStatus status);

enum class WcOpcode : std::uint32_t { rdma_write, receive_with_immediate };

// One completed piece of work. Comes from a device: every field is to be checked by who reads it.
struct Completion {
    std::uint64_t wr_id = 0; // as posted; 0 for a receive
    WcStatus status = WcStatus::success;
    WcOpcode opcode = WcOpcode::rdma_write;
    std::uint32_t byte_len = 0;     // receive: bytes that the peer wrote
    std::uint32_t immediate = 0;    // receive: the peer's immediate
    std::uint32_t vendor_error = 0; // the device's own code; 0 when it says nothing
    Nanoseconds time = 0;           // of now(), when it completed; 0 where the NIC does not say
};

// What a peer may do with registered memory; reading it to send it is always allowed.
enum class RemoteAccess { none, write };

// Memory that a NIC can reach. Deregistered when destroyed: no work on it may be in flight then.
// Holds the buffer's pages, not the DmaBuf.
class MemoryRegion {
public:
    virtual ~MemoryRegion() = default;

    std::uint32_t lkey() const noexcept { return lkey_; }
    std::uint32_t rkey() const noexcept { return rkey_; }
    std::uint64_t address() const noexcept { return address_; } // of its first byte, for the peer
    std::uint64_t length() const noexcept { return length_; }
    // Of the fd that was registered, asked of the kernel at that moment.
    const BufferIdentity& identity() const noexcept { return identity_; }

protected:
    MemoryRegion() = default;
    std::uint32_t lkey_ = 0;
    std::uint32_t rkey_ = 0;
    std::uint64_t address_ = 0;
    std::uint64_t length_ = 0;
    BufferIdentity identity_;
};

// An RDMA WRITE. With `immediate` the peer gets a completion; a length of 0 carries the
// immediate alone and needs neither region nor remote address.
struct WriteRequest {
    std::uint64_t wr_id = 0;
    const MemoryRegion* local = nullptr;
    std::uint64_t local_offset = 0; // into `local`
    std::uint32_t length = 0;
    std::uint64_t remote_address = 0;
    std::uint32_t rkey = 0;
    bool signaled = true; // false: no completion unless it fails
    std::optional<std::uint32_t> immediate;
    // Belongs to no message: a NIC of several queue pairs takes any of them. No immediate,
    // signaled.
    bool spread = false;
};

struct EndpointLimits {
    std::uint32_t send_queue = 0;    // writes that may be outstanding
    std::uint32_t receive_queue = 0; // receives that may be posted
    std::uint32_t max_message = 0;   // bytes in one write
};

enum class WaitResult { ready, timed_out, cancelled };

// One end of a connection (a reliable connected queue pair and its completion queue). One thread
// posts, polls and waits; wake() and cancel() may be called from any other. When an end has been
// destroyed, none of its connection's writes touches memory any more; those of the other end fail.
class Endpoint {
public:
    virtual ~Endpoint() = default;

    const EndpointLimits& limits() const noexcept { return limits_; }

    // Makes room for `count` writes with immediate from the peer; each consumes one. Throws Error
    // when more than limits().receive_queue would be posted, or after a failed completion.
    virtual void post_receives(std::uint32_t count) = 0;

    // Hands writes to the NIC in order, and returns how many it took: fewer than all when the send
    // queue is full, until completions have been reaped. An unsignaled write keeps its place until
    // the completion of a later one has been reaped: a queue full of them stays full. Does not
    // block, allocates nothing. Throws Error for a request that no NIC could carry out (a range
    // outside its region, a message over limits().max_message).
    std::size_t post(std::span<const WriteRequest> requests);

    // Takes up to completions.size() finished completions, in order; returns how many. Does not
    // block. After one whose status is not success, all outstanding work completes as `flushed`.
    virtual std::size_t poll(std::span<Completion> completions) = 0;

    // Sleeps until `at_least` completions can be polled, `timeout` has passed or wake() or cancel()
    // was called. Returns with fewer, but at least one, if the NIC has nothing else to do or work
    // has failed: asking for several saves waking up for each.
    virtual WaitResult wait(Nanoseconds timeout, std::uint32_t at_least = 1) = 0;

    // Ends the present wait, or the next one if none is going on, with `ready`, though there may be
    // nothing to poll. Once: several calls before a wait ends are as one. Thread-safe, does not
    // block.
    virtual void wake() = 0;

    // Ends the present wait and all later ones at once with `cancelled`. Thread-safe.
    virtual void cancel() = 0;

protected:
    explicit Endpoint(EndpointLimits limits) : limits_(limits) {}

private:
    virtual std::size_t do_post(std::span<const WriteRequest> requests) = 0;

    EndpointLimits limits_;
};

struct EndpointPair {
    std::unique_ptr<Endpoint> sender;
    std::unique_ptr<Endpoint> receiver;
};

// How long to wait for the other side, and what ends the wait before (an Error of the run, as the
// time-out is).
struct Patience {
    Nanoseconds timeout = 0;
    const Event* cancel = nullptr; // or nothing does
};

// Random, told to the peer over another channel: the connection that shows it is the peer's, and
// no stranger's who found the address.
using ConnectionKey = std::array<std::byte, 16>;
ConnectionKey random_key();
// In a time that does not tell how much of it is right.
bool same_key(const ConnectionKey& one, const ConnectionKey& other) noexcept;

// Where an end of another process or host finds this NIC. One thread. Within its NIC's life.
class Listener {
public:
    virtual ~Listener() = default;

    // What the peer's connect_to() takes: printable, no spaces, at most 63 characters.
    const std::string& address() const noexcept { return address_; }

    // The peer that shows `key`; who shows another one is turned away and does not end the wait.
    // The peer may write into what is registered for writing by now; what is registered later it
    // may be unable to reach. Post receives before it is told that it may send. Blocks. Throws
    // Error.
    virtual std::unique_ptr<Endpoint> accept(const ConnectionKey& key, std::uint32_t in_flight,
                                             const Patience& patience) = 0;

protected:
    Listener() = default;
    std::string address_;
};

struct NicInfo {
    std::string name;              // "emulated", "verbs"
    std::string detail;            // "rate 100 Gb/s, latency 5 us", "mlx5_0 port 1, …"
    bool emulated = false;         // no hardware moves these bytes
    std::string emulation;         // if emulated: in what way, where probing has not said so
    std::string thread;            // emulated: whose CPU time stands for the hardware; else empty
    std::uint32_t max_message = 0; // bytes in one write, of every end of it
};

// A NIC. Thread-safe. Outlives its regions and endpoints.
class Nic {
public:
    virtual ~Nic() = default;

    const NicInfo& info() const noexcept { return info_; }

    // Registers the whole buffer. Throws Error: private memory (EOPNOTSUPP, as hardware in a
    // confidential guest answers), memory that the NIC cannot map.
    virtual std::unique_ptr<MemoryRegion> register_memory(const DmaBuf& buffer,
                                                          RemoteAccess access) = 0;

    // The heap "nic": buffers that the NIC's driver allocates in the way it likes best. Within its
    // NIC's life. Throws Error: unavailable, where it has none.
    virtual std::unique_ptr<Heap> open_heap() = 0;

    // Two ends connected to each other in this process, with room for `in_flight` outstanding
    // writes each (the NIC may give more). Throws Error.
    virtual EndpointPair connect_within(std::uint32_t in_flight) = 0;

    // For one peer after the other. Throws Error.
    virtual std::unique_ptr<Listener> listen() = 0;

    // An end whose other one is what a Listener of a NIC of the same kind accepts. Ends of
    // different processes are as those of one: when one has been destroyed, or its process has
    // died, the work of the other fails. Memory for the peer to write is registered before. Blocks.
    // Throws Error: nobody there, turned away, another kind of NIC.
    virtual std::unique_ptr<Endpoint> connect_to(std::string_view address, const ConnectionKey& key,
                                                 std::uint32_t in_flight,
                                                 const Patience& patience) = 0;

    // How fast this NIC moves `source`'s regions into `target`'s, over and over, for about
    // `duration`, with nothing else going on: the limit that a stream is held against. Blocks.
    // Call it only while no work is in flight. GB/s (1e9 bytes). `target` is registered for
    // writing; emulated: the bare copy of memory on the engine's thread, or the rate that the
    // options set if that is less. Throws Error for regions of another NIC.
    virtual double plain_gbytes_per_s(std::span<const MemoryRegion* const> source,
                                      std::span<const MemoryRegion* const> target,
                                      Nanoseconds duration) = 0;

    // CPU time spent so far on being the NIC; 0 for hardware.
    virtual Nanoseconds emulation_cpu() const = 0;

protected:
    explicit Nic(NicInfo info) : info_(std::move(info)) {}
    // For a NIC that knows it only once it is open.
    void set_max_message(std::uint32_t bytes) noexcept { info_.max_message = bytes; }

private:
    NicInfo info_;
};

// Every NIC of this machine, best first, usable or with the reason why not. Opens RDMA devices.
// `root` stands in for "/": the picture of another machine.
std::vector<Candidate> probe_nics(const std::filesystem::path& root = "/");

// Those that `specification`, as of open_nic(), leaves to choose from: where it names the emulated
// NIC, that alone, and no RDMA device is opened. A broken driver can be stepped around.
std::vector<Candidate> probe_nics_for(std::string_view specification);

// Opens a NIC from its command-line form "NAME" or "NAME:key=value,…"; options are the NIC's own
// (nic/emulated/options.h, nic/verbs/options.h). "auto" is the best that is usable. Throws Error of
// usage for an unknown name, option or value, of availability for a NIC that cannot be used.
std::unique_ptr<Nic> open_nic(std::string_view specification);
// The same, of what probe_nics_for() has found.
std::unique_ptr<Nic> open_nic(std::string_view specification, std::span<const Candidate> nics);

} // namespace clearframe
