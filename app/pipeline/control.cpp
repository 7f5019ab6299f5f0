#include "pipeline/control.h"

#include "core/error.h"
#include "core/thread.h"
#include "core/units.h"

#include <fmt/format.h>

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>

namespace clearframe {
namespace {

using Received = ControlConnection::Received;

constexpr Nanoseconds hello_time = 5'000'000'000; // for a caller to say hello
constexpr std::size_t most_callers = 8;           // that have not yet

struct FreeAddresses {
    void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

Addresses look_up(const HostPort& name, int flags, Failure failure) {
    const addrinfo hints{.ai_flags = flags | AI_NUMERICSERV,
                         .ai_family = AF_UNSPEC,
                         .ai_socktype = SOCK_STREAM,
                         .ai_protocol = IPPROTO_TCP};
    addrinfo* list = nullptr;
    if (const int error =
            ::getaddrinfo(name.host.c_str(), std::to_string(name.port).c_str(), &hints, &list))
        throw Error(failure, fmt::format("looking up {}", name.host),
                    fmt::format("{} ({})", ::gai_strerror(error), error),
                    "Give a name or an address that this machine knows");
    return Addresses(list);
}

std::string address_text(const sockaddr* address, socklen_t size) {
    char host[NI_MAXHOST] = "", port[NI_MAXSERV] = "";
    if (::getnameinfo(address, size, host, sizeof host, port, sizeof port,
                      NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return "unknown";
    return address->sa_family == AF_INET6 ? fmt::format("[{}]:{}", host, port)
                                          : fmt::format("{}:{}", host, port);
}

// Waits until `events` of `fd` have come. Throws Error if waiting fails.
Received wait_for(int fd, short events, Nanoseconds deadline, const Event* cancel) {
    while (true) {
        pollfd fds[] = {{.fd = fd, .events = events, .revents = 0},
                        {.fd = cancel ? cancel->fd() : -1, .events = POLLIN, .revents = 0}};
        const timespec time = time_until(deadline);
        const int ready = ::ppoll(fds, 2, &time, nullptr);
        if (ready < 0 && errno != EINTR)
            throw_errno(errno, "waiting for the other end");
        if (cancel && cancel->signalled())
            return Received::cancelled;
        if (ready > 0 && fds[0].revents)
            return Received::message;
        if (ready == 0)
            return Received::timed_out;
    }
}

// A host that is gone without a word shows within half a minute.
void watch(int socket) {
    const int on = 1, idle = 10, interval = 5, count = 4;
    const unsigned unacknowledged = 30'000; // ms
    // None of them is needed to go on.
    ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    ::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged, sizeof unacknowledged);
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// 0, or errno.
int connect_one(int socket, const addrinfo& address, Nanoseconds deadline, const Event* cancel) {
    if (::connect(socket, address.ai_addr, address.ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    switch (wait_for(socket, POLLOUT, deadline, cancel)) {
    case Received::cancelled:
        return ECANCELED;
    case Received::timed_out:
        return ETIMEDOUT;
    default:
        break;
    }
    int error = 0;
    socklen_t size = sizeof error;
    return ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

void refuse(ControlConnection& connection, const Rejection& rejection) noexcept {
    connection.send_now(encode(rejection));
    connection.close_kindly();
}

Rejection busy() {
    return {.mismatch = {},
            .advice = "It is busy with another sender: try again when that has ended"};
}

} // namespace

std::string HostPort::text() const {
    return host.find(':') == host.npos ? fmt::format("{}:{}", host, port)
                                       : fmt::format("[{}]:{}", host, port);
}

std::optional<HostPort> parse_host_port(std::string_view text) {
    HostPort result;
    std::string_view port;
    bool has_port = false;
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        if (end == text.npos)
            return std::nullopt;
        result.host = text.substr(1, end - 1);
        port = text.substr(end + 1);
        has_port = !port.empty();
        if (has_port && port.front() != ':')
            return std::nullopt;
        port.remove_prefix(has_port ? 1 : 0);
    } else if (std::count(text.begin(), text.end(), ':') == 1) {
        const std::size_t colon = text.find(':');
        result.host = text.substr(0, colon);
        port = text.substr(colon + 1);
        has_port = true;
    } else {
        result.host = text; // a name, or a bare IPv6 address
    }
    if (has_port) {
        const char* const end = port.data() + port.size();
        const auto [stop, error] = std::from_chars(port.data(), end, result.port);
        if (error != std::errc() || stop != end)
            return std::nullopt;
    }
    if (result.host.empty() || result.host.find(' ') != result.host.npos)
        return std::nullopt;
    return result;
}

// One end. ---------------------------------------------------------------------------------------

ControlConnection::ControlConnection(UniqueFd socket, std::string peer)
    : socket_(std::move(socket)), peer_(std::move(peer)) {
    watch(socket_.get());
}

ControlConnection ControlConnection::connect(const HostPort& to, const Patience& patience) {
    const Addresses addresses = look_up(to, 0, Failure::unavailable);
    const Nanoseconds deadline = now() + patience.timeout;
    int error = 0;
    for (const addrinfo* address = addresses.get(); address; address = address->ai_next) {
        UniqueFd socket(::socket(address->ai_family,
                                 address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                                 address->ai_protocol));
        error = socket ? connect_one(socket.get(), *address, deadline, patience.cancel) : errno;
        if (error == 0)
            return {std::move(socket), address_text(address->ai_addr, address->ai_addrlen)};
        if (error == ECANCELED)
            break;
    }
    throw_errno(error, fmt::format("connecting to {}", to.text()),
                error == ECONNREFUSED
                    ? "Start the receiver there first: clearframe recv --listen ADDR:PORT"
                    : "Does the receiver listen there, and does a firewall let it?",
                Failure::run);
}

void ControlConnection::send(std::span<const std::byte> message, const Patience& patience) {
    const Nanoseconds deadline = now() + patience.timeout;
    while (!message.empty()) {
        const ssize_t sent =
            ::send(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            message = message.subspan(static_cast<std::size_t>(sent));
            continue;
        }
        if (errno != EAGAIN && errno != EINTR)
            throw_errno(errno, fmt::format("sending to {}", peer_),
                        "The other end has gone: see what it says there");
        const Received waited = wait_for(socket_.get(), POLLOUT, deadline, patience.cancel);
        if (waited != Received::message)
            throw_errno(waited == Received::cancelled ? ECANCELED : ETIMEDOUT,
                        fmt::format("sending to {}", peer_), "The other end takes nothing");
    }
}

void ControlConnection::send_now(std::span<const std::byte> message) noexcept {
    [[maybe_unused]] const ssize_t sent =
        ::send(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

Received ControlConnection::receive(ControlMessage& message, const Patience& patience) {
    const Nanoseconds deadline = now() + patience.timeout;
    while (true) {
        const std::span<std::byte> room = envelope_
                                              ? std::span(body_).subspan(body_size_)
                                              : std::span<std::byte>(head_).subspan(head_size_);
        if (!room.empty()) {
            const ssize_t got = ::recv(socket_.get(), room.data(), room.size(), MSG_DONTWAIT);
            if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
                const Received waited = wait_for(socket_.get(), POLLIN, deadline, patience.cancel);
                if (waited != Received::message)
                    return waited;
                continue;
            }
            if (got <= 0) {
                closed_by_ = got < 0 ? errno_text(errno) : "the connection was closed";
                return Received::closed;
            }
            (envelope_ ? body_size_ : head_size_) += static_cast<std::size_t>(got);
        }
        if (!envelope_ && head_size_ == envelope_bytes) {
            Decoded<Envelope> decoded = decode_envelope(head_);
            if (const auto* const wrong = std::get_if<Mismatch>(&decoded)) {
                mismatch_ = *wrong;
                return Received::malformed;
            }
            envelope_ = std::get<Envelope>(decoded);
            body_.resize(envelope_->length);
            body_size_ = 0;
        }
        if (envelope_ && body_size_ == body_.size()) {
            message.type = envelope_->type;
            message.payload = std::move(body_);
            body_.clear();
            envelope_.reset();
            head_size_ = 0;
            return Received::message;
        }
    }
}

// With bytes unread, closing would reset the connection, and what was sent would be lost.
void ControlConnection::close_kindly() noexcept {
    ::shutdown(socket_.get(), SHUT_WR);
    std::array<std::byte, 4096> rest;
    for (int i = 0; i < 16; ++i)
        if (::recv(socket_.get(), rest.data(), rest.size(), MSG_DONTWAIT) <= 0)
            break;
    socket_.reset();
}

// Where senders call. ----------------------------------------------------------------------------

ControlListener::ControlListener(const HostPort& at) {
    const Addresses addresses = look_up(at, AI_PASSIVE | AI_NUMERICHOST, Failure::usage);
    const std::string what = fmt::format("listening on {}", at.text());
    const addrinfo& address = *addresses;
    socket_.reset(::socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                           address.ai_protocol));
    const int on = 1;
    if (!socket_ || ::setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        ::bind(socket_.get(), address.ai_addr, address.ai_addrlen) != 0 ||
        ::listen(socket_.get(), 128) != 0) {
        const int error = errno;
        throw_errno(error, what,
                    error == EADDRINUSE      ? "Another program listens there: take another port"
                    : error == EADDRNOTAVAIL ? "It is no address of this machine: ip address"
                    : error == EACCES        ? "Ports under 1024 are root's: take another one"
                                             : "",
                    Failure::unavailable);
    }
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    if (::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0)
        throw_errno(errno, what);
    address_ = address_text(reinterpret_cast<const sockaddr*>(&bound), size);
}

std::optional<ControlConnection> ControlListener::accept() {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    UniqueFd socket(::accept4(socket_.get(), reinterpret_cast<sockaddr*>(&peer), &size,
                              SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket)
        return ControlConnection(std::move(socket),
                                 address_text(reinterpret_cast<const sockaddr*>(&peer), size));
    // The caller has gone again (accept(2) lists what else that may show as).
    constexpr int gone[] = {EAGAIN,    EINTR,        ECONNABORTED, EPROTO,
                            EPERM,     ENETDOWN,     ENONET,       ENOPROTOOPT,
                            EHOSTDOWN, EHOSTUNREACH, EOPNOTSUPP,   ENETUNREACH};
    if (std::find(std::begin(gone), std::end(gone), errno) == std::end(gone))
        throw_errno(errno, fmt::format("accepting a sender on {}", address_),
                    "Raise the limit of open files: ulimit -n");
    return std::nullopt;
}

std::optional<ControlListener::Caller> ControlListener::wait(const Event& cancel) {
    struct Waiting {
        ControlConnection connection;
        Nanoseconds until;
    };
    std::vector<Waiting> callers; // the oldest first
    while (true) {
        std::vector<pollfd> fds{{.fd = cancel.fd(), .events = POLLIN, .revents = 0},
                                {.fd = socket_.get(), .events = POLLIN, .revents = 0}};
        for (const Waiting& caller : callers)
            fds.push_back({.fd = caller.connection.fd(), .events = POLLIN, .revents = 0});
        const timespec time = time_until(callers.empty() ? 0 : callers.front().until);
        if (::ppoll(fds.data(), fds.size(), callers.empty() ? nullptr : &time, nullptr) < 0 &&
            errno != EINTR)
            throw_errno(errno, "waiting for a sender");
        if (cancel.signalled())
            return std::nullopt;

        for (std::size_t i = 0; i < callers.size();) {
            ControlConnection& connection = callers[i].connection;
            ControlMessage message;
            const Received received = connection.receive(message, {});
            std::optional<Mismatch> wrong;
            if (received == Received::malformed)
                wrong = connection.mismatch();
            else if (received == Received::message && message.type != ControlType::hello)
                wrong = Mismatch{"message", "a hello", "another one"};
            else if (received == Received::message) {
                Decoded<Hello> hello = decode_hello(message.payload);
                if (auto* const good = std::get_if<Hello>(&hello)) {
                    Caller caller{std::move(connection), std::move(*good)};
                    callers.erase(callers.begin() + static_cast<std::ptrdiff_t>(i));
                    for (Waiting& other : callers)
                        refuse(other.connection, busy());
                    return caller;
                }
                wrong = std::get<Mismatch>(hello);
            }
            if (wrong)
                refuse(connection, {.mismatch = *wrong, .advice = {}});
            if (wrong || received == Received::closed || now() >= callers[i].until)
                callers.erase(callers.begin() + static_cast<std::ptrdiff_t>(i));
            else
                ++i;
        }
        for (int taken = 0; taken < 32; ++taken) { // others have their turn
            auto connection = accept();
            if (!connection)
                break;
            if (callers.size() == most_callers)
                callers.erase(callers.begin());
            callers.push_back({std::move(*connection), now() + hello_time});
        }
    }
}

ControlListener::Busy::Busy(ControlListener& listener)
    : thread_(start_thread("cf-door", [this, &listener] {
          const auto wait = [&] {
              return wait_for(listener.socket_.get(), POLLIN, now() + 3600'000'000'000, &done_);
          };
          try {
              while (wait() != Received::cancelled)
                  if (auto caller = listener.accept())
                      refuse(*caller, busy());
          } catch (const Error&) {
              // Out of descriptors: callers wait in the kernel's queue.
          }
      })) {}

ControlListener::Busy::~Busy() { done_.signal(); }

} // namespace clearframe
