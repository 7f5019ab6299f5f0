// The connection beside the frames, over TCP: carries the messages of wire/control.h.
#pragma once

#include "core/event.h"
#include "core/unique_fd.h"
#include "nic/nic.h"
#include "wire/control.h"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace clearframe {

inline constexpr std::uint16_t default_control_port = 18517;

struct HostPort {
    std::string host;
    std::uint16_t port = default_control_port;
    std::string text() const; // "[::1]:18517"
};
// "HOST", "HOST:PORT", "1.2.3.4:PORT", "[::1]:PORT", "::1". Empty if it is none of them.
std::optional<HostPort> parse_host_port(std::string_view text);

struct ControlMessage {
    ControlType type = ControlType::bye;
    std::vector<std::byte> payload; // not yet decoded
};

// One end. Used by one thread at a time, but that one may send while another receives.
class ControlConnection {
public:
    // Tries each of the host's addresses. Blocks: looking the name up, and for `patience`. Throws
    // Error.
    static ControlConnection connect(const HostPort& to, const Patience& patience);
    // Of a socket that is connected.
    ControlConnection(UniqueFd socket, std::string peer);

    const std::string& peer() const noexcept { return peer_; } // "192.0.2.7:40312"
    int fd() const noexcept { return socket_.get(); }

    // Throws Error: the peer has gone, takes nothing, or `patience.cancel` came first.
    void send(std::span<const std::byte> message, const Patience& patience);
    // As far as it goes without blocking.
    void send_now(std::span<const std::byte> message) noexcept;

    enum class Received { message, timed_out, cancelled, closed, malformed };
    // Waits for the next message; one that has come in part when the time is up goes on next time.
    // After `malformed` mismatch() says what is wrong, after `closed` closed_by() how: no more
    // messages come. Throws Error if waiting fails.
    Received receive(ControlMessage& message, const Patience& patience);
    const Mismatch& mismatch() const noexcept { return mismatch_; }
    const std::string& closed_by() const noexcept { return closed_by_; }

    // Ends it so that what was sent before still arrives.
    void close_kindly() noexcept;

private:
    UniqueFd socket_;
    std::string peer_;
    std::array<std::byte, envelope_bytes> head_{};
    std::size_t head_size_ = 0;
    std::optional<Envelope> envelope_;
    std::vector<std::byte> body_;
    std::size_t body_size_ = 0;
    Mismatch mismatch_;
    std::string closed_by_;
};

// Where senders call. One thread.
class ControlListener {
public:
    // Throws Error: unavailable for an address that is taken or not this machine's. Port 0: one
    // that is free.
    explicit ControlListener(const HostPort& at);

    const std::string& address() const noexcept { return address_; } // "127.0.0.1:18517"

    struct Caller {
        ControlConnection connection;
        Hello hello;
    };
    // The first caller that says a whole hello. Meanwhile others may be slow to speak, up to a few
    // and for some seconds each; those that speak nonsense are told so and dropped. Empty if
    // `cancel` came first. Throws Error.
    std::optional<Caller> wait(const Event& cancel);

    // While it exists, who calls is told that the receiver is busy.
    class Busy {
    public:
        explicit Busy(ControlListener& listener);
        ~Busy();
        Busy(const Busy&) = delete;
        Busy& operator=(const Busy&) = delete;

    private:
        Event done_;
        std::jthread thread_;
    };

private:
    std::optional<ControlConnection> accept();

    UniqueFd socket_;
    std::string address_;
};

} // namespace clearframe
