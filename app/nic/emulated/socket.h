// Datagrams with file descriptors between two processes, over a Unix socket; and waiting for them.
#pragma once

#include "core/unique_fd.h"
#include "nic/nic.h"

#include <poll.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace clearframe::emulated {

// A time limit and a cancel, over several waits.
class Deadline {
public:
    // `what` names what is waited for in the Error. `patience`'s event outlives this.
    Deadline(const Patience& patience, std::string what);

    // Sleeps until one of `fds` is ready or `time` (of now()) has come; says which in their
    // revents. Throws Error when the deadline has passed or was cancelled.
    void wait(std::span<pollfd> fds, Nanoseconds time) const;
    // Until `fd` is ready for `events`.
    void wait(int fd, short events) const;
    // Throws Error as wait() does.
    void check() const;

    const std::string& what() const noexcept { return what_; }

private:
    Nanoseconds end_;
    const Event* cancel_;
    std::string what_;
};

// One datagram. An empty one is the end of the connection, too.
struct Packet {
    std::vector<std::byte> bytes;
    std::vector<UniqueFd> fds;
    bool whole = true; // neither bytes nor fds have been cut off
};

// A listening socket of a random name. Throws Error.
UniqueFd listen_at_random_name(std::string& address);
// Whether it looks like an address of listen_at_random_name().
bool is_address(std::string_view address);
// Connects; the socket is non-blocking. Blocks. Throws Error.
UniqueFd connect_socket(std::string_view address, const Deadline& deadline);
// The next who has connected, as a non-blocking socket; none if there is nobody. Does not block.
// Throws Error.
UniqueFd accept_socket(int listener);

// Nothing where none has come. The end of the connection, also by an error, is an empty packet.
// Does not block.
std::optional<Packet> receive_packet(int fd);
Packet wait_for_packet(int fd, const Deadline& deadline);
// Blocks while the peer's buffer is full. Throws Error.
void send_packet(int fd, std::span<const std::byte> bytes, std::span<const int> fds,
                 const Deadline& deadline);

} // namespace clearframe::emulated
