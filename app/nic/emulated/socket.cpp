#include "nic/emulated/socket.h"

#include "core/error.h"
#include "nic/emulated/protocol.h"

#include <fmt/format.h>

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

namespace clearframe::emulated {
namespace {

constexpr std::string_view prefix = "@clearframe-";
constexpr std::size_t name_digits = 32;
constexpr Nanoseconds never = std::numeric_limits<Nanoseconds>::max();

// Abstract: there is no file, and the name is gone with the socket.
socklen_t abstract_address(std::string_view address, sockaddr_un& name) {
    name.sun_family = AF_UNIX;
    // The '@' stands for the zero byte.
    std::copy(address.begin() + 1, address.end(), name.sun_path + 1);
    return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
}

UniqueFd make_socket(int flags) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0));
    if (!fd)
        throw_errno(errno, "NIC emulated: making a socket",
                    "Raise the limit of open files: ulimit -n");
    return fd;
}

void take_fds(msghdr& message, Packet& packet) {
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
            packet.fds.emplace_back(fd);
        }
    }
}

} // namespace

Deadline::Deadline(const Patience& patience, std::string what)
    : cancel_(patience.cancel), what_(std::move(what)) {
    const Nanoseconds start = now();
    end_ = patience.timeout < never - start ? start + patience.timeout : never;
}

void Deadline::check() const {
    if (cancel_ && cancel_->signalled())
        throw Error(Failure::run, fmt::format("NIC emulated: {}: cancelled", what_), {}, {});
    if (now() >= end_)
        throw Error(Failure::run, fmt::format("NIC emulated: {}: timed out", what_), {}, {});
}

void Deadline::wait(std::span<pollfd> fds, Nanoseconds time) const {
    check();
    std::vector<pollfd> all(fds.begin(), fds.end());
    all.push_back({cancel_ ? cancel_->fd() : -1, POLLIN, 0});
    const timespec timeout = time_until(std::min(time, end_));
    if (::ppoll(all.data(), all.size(), &timeout, nullptr) < 0 && errno != EINTR)
        throw_errno(errno, fmt::format("NIC emulated: {}", what_));
    for (std::size_t i = 0; i < fds.size(); ++i)
        fds[i].revents = all[i].revents;
    if (cancel_ && cancel_->signalled())
        check();
}

void Deadline::wait(int fd, short events) const {
    for (pollfd one{fd, events, 0}; one.revents == 0;)
        wait({&one, 1}, never);
}

UniqueFd listen_at_random_name(std::string& address) {
    address = prefix;
    for (const std::byte byte : random_key())
        address += fmt::format("{:02x}", static_cast<unsigned>(byte));
    UniqueFd fd = make_socket(SOCK_NONBLOCK);
    sockaddr_un name{};
    const socklen_t length = abstract_address(address, name);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), length) != 0 ||
        ::listen(fd.get(), 16) != 0)
        throw_errno(errno, fmt::format("NIC emulated: listening at {}", address));
    return fd;
}

bool is_address(std::string_view address) {
    return address.starts_with(prefix) && address.size() == prefix.size() + name_digits;
}

UniqueFd connect_socket(std::string_view address, const Deadline& deadline) {
    // Blocks while the listener's queue is full; in slices, to see a cancel.
    UniqueFd fd = make_socket(0);
    const timeval slice{.tv_sec = 0, .tv_usec = 50'000};
    sockaddr_un name{};
    const socklen_t length = abstract_address(address, name);
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &slice, sizeof(slice)) != 0)
        throw_errno(errno, "NIC emulated: SO_SNDTIMEO");
    while (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), length) != 0) {
        if (errno == ECONNREFUSED)
            throw_errno(ECONNREFUSED, fmt::format("NIC emulated: connecting to {}", address),
                        "Nobody listens there: it is of this machine, and ends with its process");
        if (errno != EAGAIN && errno != EINTR)
            throw_errno(errno, fmt::format("NIC emulated: connecting to {}", address));
        deadline.check();
    }
    return fd;
}

UniqueFd accept_socket(int listener) {
    UniqueFd fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        throw_errno(errno, "NIC emulated: accepting a connection",
                    "Raise the limit of open files: ulimit -n");
    return fd;
}

std::optional<Packet> receive_packet(int fd) {
    Packet packet;
    packet.bytes.resize(most_message_bytes);
    iovec part{packet.bytes.data(), packet.bytes.size()};
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(regions_in_message * sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t got = ::recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return std::nullopt;
    packet.bytes.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    if (got >= 0)
        take_fds(message, packet);
    packet.whole = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
    return packet;
}

Packet wait_for_packet(int fd, const Deadline& deadline) {
    for (;;) {
        deadline.wait(fd, POLLIN);
        if (auto packet = receive_packet(fd))
            return std::move(*packet);
    }
}

void send_packet(int fd, std::span<const std::byte> bytes, std::span<const int> fds,
                 const Deadline& deadline) {
    iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(regions_in_message * sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
        message.msg_control = control.data();
        message.msg_controllen = CMSG_SPACE(fds.size_bytes());
        cmsghdr* const rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
    }
    while (::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        if (errno == EAGAIN)
            deadline.wait(fd, POLLOUT);
        else if (errno != EINTR)
            throw_errno(errno, fmt::format("NIC emulated: {}: telling the peer", deadline.what()),
                        "The peer has gone");
    }
}

} // namespace clearframe::emulated
