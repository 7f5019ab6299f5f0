// Connections to ends of other processes and hosts: librdmacm finds them and tells when they leave.
// The queue pairs are ours (nic/verbs/queue_pair.h).
#pragma once

#include "nic/verbs/greeting.h"
#include "nic/verbs/handles.h"
#include "nic/verbs/options.h"
#include "nic/verbs/port.h"

#include <memory>
#include <string>
#include <string_view>

namespace clearframe::verbs {

class Device;

// A Patience that has begun.
class Wait {
public:
    explicit Wait(const Patience& patience);
    Nanoseconds left() const noexcept;
    // Until the channel has an event. Throws Error of the run: time is up, cancelled.
    void for_event_of(const rdma_event_channel& channel, std::string_view what) const;

private:
    Nanoseconds timeout_;
    Nanoseconds deadline_;
    const Event* cancel_;
};

// An id of librdmacm with an event channel of its own. One thread. Outlived by its device.
class Connection {
public:
    // At the address of `port`, at a port number that is free. Throws Error: unavailable, where
    // librdmacm cannot be used or the address is not one of the device's.
    Connection(const Device& device, const Port& port);
    // What has been asked for by a peer. Throws Error.
    Connection(const Device& device, const Port& port, ConnectionId request);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection();

    rdma_cm_id* id() const noexcept { return id_.get(); }
    int fd() const noexcept { return channel_->fd; } // readable when there is an event

    // The next event. Blocks. Throws Error.
    ConnectionEvent next(const Wait& wait, std::string_view what) const;
    // What a queue pair of this connection needs to get to `state`, and of it what is set. Throws
    // Error.
    ibv_qp_attr attributes(ibv_qp_state state, int& mask) const;
    // Whether the other side has left, by what has come since. Does not block. Throws Error when
    // the device has.
    bool peer_has_left() const;

private:
    ConnectionEvent take() const;
    void check_device(const Port& port) const;

    const Device& device_;
    EventChannel channel_;
    ConnectionId id_;
};

// Nic::listen() and Nic::connect_to() of a device's port. What they make is outlived by what they
// are given.
std::unique_ptr<Listener> listen(const Device& device, const Port& port,
                                 const VerbsOptions& options);
std::unique_ptr<Endpoint> connect_to(const Device& device, const Port& port,
                                     const VerbsOptions& options, std::string_view address,
                                     const ConnectionKey& key, std::uint32_t in_flight,
                                     const Patience& patience);

} // namespace clearframe::verbs
