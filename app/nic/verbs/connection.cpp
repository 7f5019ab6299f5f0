#include "nic/verbs/connection.h"

#include "core/error.h"
#include "core/units.h"
#include "nic/verbs/device.h"
#include "nic/verbs/queue_pair.h"

#include <fmt/format.h>

#include <errno.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <limits>
#include <netinet/in.h>

namespace clearframe::verbs {
namespace {

// Requests that wait for accept(); the kernel turns the others away.
constexpr int backlog = 64;
// Of the requests themselves; what writes are tried again for is in nic/verbs/queue_pair.cpp.
constexpr std::uint8_t request_retries = 7;

// Why the InfiniBand specification (12.6.7.2) lets a request be rejected.
constexpr int no_such_service = 8;
constexpr int by_its_consumer = 28;

IpAddress ip_of(const Port& port) {
    IpAddress ip{};
    std::copy(std::begin(port.gid.raw), std::end(port.gid.raw), ip.begin());
    return ip;
}

// `interface` is what a link-local address belongs to.
sockaddr_storage socket_address(const SocketName& name, std::uint32_t interface) {
    sockaddr_storage storage{};
    if (is_ipv4(name.ip)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(name.port);
        std::memcpy(&address.sin_addr, name.ip.data() + 12, sizeof address.sin_addr);
        std::memcpy(&storage, &address, sizeof address);
        return storage;
    }
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(name.port);
    address.sin6_scope_id = is_link_local(name.ip) ? interface : 0;
    std::memcpy(&address.sin6_addr, name.ip.data(), name.ip.size());
    std::memcpy(&storage, &address, sizeof address);
    return storage;
}

EventChannel make_channel(const Device& device) {
    EventChannel channel(rdma_create_event_channel());
    if (!channel)
        throw_errno(errno, fmt::format("NIC {}: rdma_create_event_channel", device.name()),
                    "Connections take the kernel's rdma_ucm: modprobe rdma_ucm, and "
                    "/dev/infiniband/rdma_cm for whom runs this",
                    Failure::unavailable);
    set_nonblocking(channel->fd);
    return channel;
}

std::span<const std::byte> private_data(const rdma_cm_event& event) {
    const void* const data = event.param.conn.private_data;
    return {static_cast<const std::byte*>(data), data ? event.param.conn.private_data_len : 0u};
}

[[noreturn]] void explain(const Refusal& refusal, std::string_view what, std::size_t queue_pairs) {
    switch (refusal.reason) {
    case RefusalReason::version:
        throw Error(Failure::run, fmt::format("{}: turned away", what),
                    fmt::format("version of the connection: ours {}, theirs {}", greeting_version,
                                refusal.version),
                    "Run the same clearframe at both ends");
    case RefusalReason::queue_pairs:
        throw Error(
            Failure::run, fmt::format("{}: turned away", what),
            fmt::format("queue pairs (qps): ours {}, theirs {}", queue_pairs, refusal.queue_pairs),
            "Give both ends the same --nic verbs:qps=N");
    case RefusalReason::key:
        break;
    }
    throw Error(Failure::run, fmt::format("{}: turned away", what),
                "who listens there waits for another peer", {});
}

// What came instead of what was waited for.
[[noreturn]] void refuse(const rdma_cm_event& event, std::string_view what,
                         std::size_t queue_pairs) {
    const std::string name = rdma_event_str(event.event);
    const bool rejected = event.event == RDMA_CM_EVENT_REJECTED;
    if (rejected && (event.status == no_such_service || event.status == -ECONNREFUSED))
        throw Error(Failure::run, fmt::format("{}: nobody listens there", what),
                    fmt::format("{} ({})", name, event.status), "Is its process still running?");
    if (rejected) {
        if (const auto refusal = decode_refusal(private_data(event)))
            explain(*refusal, what, queue_pairs);
        throw Error(Failure::run, fmt::format("{}: turned away", what),
                    fmt::format("{} ({})", name, event.status),
                    event.status == by_its_consumer
                        ? "It is another program, or too many wait there: try again"
                        : "");
    }
    throw Error(Failure::run, what,
                event.status < 0 ? fmt::format("{}: {}", name, errno_text(-event.status))
                                 : fmt::format("{} ({})", name, event.status),
                event.event == RDMA_CM_EVENT_ADDR_ERROR || event.event == RDMA_CM_EVENT_UNREACHABLE
                    ? "Can its address be reached from that of this NIC? Try ping -I"
                    : "");
}

rdma_conn_param parameters(std::span<const std::byte> data, std::uint32_t number) {
    rdma_conn_param param{};
    param.private_data = data.data();
    param.private_data_len = static_cast<std::uint8_t>(data.size());
    param.responder_resources = 1;
    param.initiator_depth = 1;
    param.flow_control = 1;
    param.retry_count = request_retries;
    param.rnr_retry_count = request_retries;
    param.qp_num = number;
    return param;
}

Greeting greeting_of(const VerbsEndpoint& end, const Port& port, const ConnectionKey& key) {
    Greeting greeting{.key = key, .mtu = static_cast<std::uint8_t>(port.mtu)};
    greeting.queue_pairs = static_cast<std::uint8_t>(end.queue_pairs());
    for (std::size_t i = 0; i < end.queue_pairs(); ++i)
        greeting.numbers[i] = end.number(i);
    return greeting;
}

} // namespace

// Waiting. ---------------------------------------------------------------------------------------

Wait::Wait(const Patience& patience)
    : timeout_(std::max<Nanoseconds>(patience.timeout, 0)), cancel_(patience.cancel) {
    const Nanoseconds start = now();
    deadline_ = start + std::min(timeout_, std::numeric_limits<Nanoseconds>::max() - start);
}

Nanoseconds Wait::left() const noexcept { return std::max<Nanoseconds>(deadline_ - now(), 0); }

void Wait::for_event_of(const rdma_event_channel& channel, std::string_view what) const {
    std::array<pollfd, 2> fds{
        {{.fd = channel.fd, .events = POLLIN, .revents = 0},
         {.fd = cancel_ ? cancel_->fd() : -1, .events = POLLIN, .revents = 0}}};
    while (true) {
        if (cancel_ && cancel_->signalled())
            throw Error(Failure::run, what, "cancelled", {});
        const timespec time = timespec_of(left());
        const int ready = ::ppoll(fds.data(), fds.size(), &time, nullptr);
        if (ready < 0 && errno != EINTR)
            throw_errno(errno, what);
        if (ready > 0 && fds[0].revents)
            return;
        if (ready == 0 && left() == 0)
            throw Error(
                Failure::run, what,
                fmt::format("no answer within {}", duration_text(static_cast<double>(timeout_))),
                "A soft-RoCE device whose link was lost in use answers no more: rdma link delete "
                "it, and add it again");
    }
}

// A connection. ----------------------------------------------------------------------------------

Connection::Connection(const Device& device, const Port& port)
    : device_(device), channel_(make_channel(device)) {
    if (!port.ethernet)
        throw Error(Failure::unavailable,
                    fmt::format("NIC {}: connecting port {}, which is InfiniBand", device.name(),
                                port.number),
                    "its GID is no IP address",
                    "Connections to another host are made over RoCE; between the two ends of one "
                    "process any port will do");
    rdma_cm_id* id = nullptr;
    if (rdma_create_id(channel_.get(), &id, nullptr, RDMA_PS_TCP) != 0)
        throw_errno(errno, fmt::format("NIC {}: rdma_create_id", device.name()), {},
                    Failure::unavailable);
    id_.reset(id);
    const IpAddress ip = ip_of(port);
    sockaddr_storage address = socket_address({.ip = ip, .port = 0}, port.interface);
    if (rdma_bind_addr(id, reinterpret_cast<sockaddr*>(&address)) != 0)
        throw_errno(errno,
                    fmt::format("NIC {}: rdma_bind_addr to {}, GID {} of port {}", device.name(),
                                ip_text(ip), port.gid_index, port.number),
                    "It has to be an address of the port's network device: ip address shows "
                    "which there are, and gid=N takes another GID",
                    Failure::unavailable);
    check_device(port);
}

Connection::Connection(const Device& device, const Port& port, ConnectionId request)
    : device_(device), channel_(make_channel(device)), id_(std::move(request)) {
    if (rdma_migrate_id(id_.get(), channel_.get()) != 0)
        throw_errno(errno, fmt::format("NIC {}: rdma_migrate_id", device.name()));
    check_device(port);
}

Connection::~Connection() {
    // Where there is nothing to disconnect it fails, which is as good.
    [[maybe_unused]] const int done = rdma_disconnect(id_.get());
}

// The kernel chooses by address: it may have found another device's.
void Connection::check_device(const Port& port) const {
    const char* const found =
        id_->verbs ? ibv_get_device_name(id_->verbs->device) : "no RDMA device";
    if (found != device_.name() || id_->port_num != port.number)
        throw Error(Failure::unavailable,
                    fmt::format("NIC {}: {} is not an address of its port {} alone", device_.name(),
                                ip_text(ip_of(port)), port.number),
                    fmt::format("librdmacm found {} port {}", found, id_->port_num),
                    "Give each network device addresses of its own, or take another by gid=N");
}

ConnectionEvent Connection::take() const {
    rdma_cm_event* event = nullptr;
    if (rdma_get_cm_event(channel_.get(), &event) == 0)
        return ConnectionEvent(event);
    if (errno != EAGAIN && errno != EINTR)
        throw_errno(errno, fmt::format("NIC {}: rdma_get_cm_event", device_.name()));
    return nullptr;
}

ConnectionEvent Connection::next(const Wait& wait, std::string_view what) const {
    while (true) {
        wait.for_event_of(*channel_, what);
        if (ConnectionEvent event = take())
            return event;
    }
}

ibv_qp_attr Connection::attributes(ibv_qp_state state, int& mask) const {
    ibv_qp_attr attributes{};
    attributes.qp_state = state;
    if (rdma_init_qp_attr(id_.get(), &attributes, &mask) != 0)
        throw_errno(errno, fmt::format("NIC {}: rdma_init_qp_attr", device_.name()));
    return attributes;
}

bool Connection::peer_has_left() const {
    bool left = false;
    while (const ConnectionEvent event = take()) {
        switch (event->event) {
        case RDMA_CM_EVENT_DEVICE_REMOVAL:
            throw Error(Failure::run, fmt::format("NIC {}: it has gone", device_.name()),
                        rdma_event_str(event->event), "Look into dmesg");
        case RDMA_CM_EVENT_DISCONNECTED:
        case RDMA_CM_EVENT_CONNECT_ERROR:
        case RDMA_CM_EVENT_UNREACHABLE:
        case RDMA_CM_EVENT_REJECTED:
            left = true;
            break;
        default: // of the way down, or nothing that a queue pair is touched by
            break;
        }
    }
    return left;
}

// Connecting. ------------------------------------------------------------------------------------

namespace {

class VerbsListener final : public Listener {
public:
    VerbsListener(const Device& device, const Port& port, const VerbsOptions& options)
        : device_(device), port_(port), options_(options), connection_(device, port) {
        if (rdma_listen(connection_.id(), backlog) != 0)
            throw_errno(errno, fmt::format("NIC {}: rdma_listen", device.name()), {},
                        Failure::unavailable);
        address_ = socket_name_text(
            {.ip = ip_of(port), .port = ntohs(rdma_get_src_port(connection_.id()))});
    }

    std::unique_ptr<Endpoint> accept(const ConnectionKey& key, std::uint32_t in_flight,
                                     const Patience& patience) override {
        const std::string what =
            fmt::format("NIC {}: waiting for the peer at {}", device_.name(), address_);
        const std::uint32_t depth = device_.queue_depth(in_flight);
        const Wait wait(patience);
        while (true) {
            ConnectionId request; // goes after its event
            const ConnectionEvent event = connection_.next(wait, what);
            if (event->event == RDMA_CM_EVENT_DEVICE_REMOVAL)
                refuse(*event, what, options_.queue_pairs);
            if (event->event != RDMA_CM_EVENT_CONNECT_REQUEST)
                continue; // of one that has been turned away
            request.reset(event->id);
            if (const auto greeting = examine(*event, key))
                return serve(std::move(request), *greeting, depth, wait);
        }
    }

private:
    // What who asks has said; nothing if it has been turned away.
    std::optional<Greeting> examine(const rdma_cm_event& event, const ConnectionKey& key) const {
        const DecodedGreeting said = decode_greeting(private_data(event));
        if (!said.greeting)
            return turn_away(event,
                             said.other_version ? RefusalReason::version : RefusalReason::key);
        if (!same_key(said.greeting->key, key) ||
            said.greeting->numbers[0] != event.param.conn.qp_num)
            return turn_away(event, RefusalReason::key);
        if (said.greeting->queue_pairs != options_.queue_pairs)
            return turn_away(event, RefusalReason::queue_pairs);
        return said.greeting;
    }

    std::nullopt_t turn_away(const rdma_cm_event& event, RefusalReason reason) const {
        const auto text = encode(Refusal{.reason = reason, .queue_pairs = options_.queue_pairs});
        // If it fails, who asks has gone.
        [[maybe_unused]] const int done =
            rdma_reject(event.id, text.data(), static_cast<std::uint8_t>(text.size()));
        return std::nullopt;
    }

    std::unique_ptr<Endpoint> serve(ConnectionId request, const Greeting& peer, std::uint32_t depth,
                                    const Wait& wait) const {
        const std::string what =
            fmt::format("NIC {}: accepting the peer at {}", device_.name(), address_);
        auto connection = std::make_unique<Connection>(device_, port_, std::move(request));
        auto end = std::make_unique<VerbsEndpoint>(device_, port_, options_, depth);
        end->connect(*connection, peer);
        const auto answer = encode(greeting_of(*end, port_, peer.key));
        rdma_conn_param param = parameters(answer, end->number(0));
        if (rdma_accept(connection->id(), &param) != 0)
            throw_errno(errno, fmt::format("{}: rdma_accept", what));
        const ConnectionEvent event = connection->next(wait, what);
        if (event->event != RDMA_CM_EVENT_ESTABLISHED)
            refuse(*event, what, options_.queue_pairs);
        end->keep(std::move(connection));
        return end;
    }

    const Device& device_;
    const Port& port_;
    const VerbsOptions& options_;
    Connection connection_;
};

// An address as its sender wrote it, as far as it can be shown.
std::string shown(std::string_view address) {
    std::string text(address.substr(0, 63));
    for (char& letter : text)
        if (!std::isprint(static_cast<unsigned char>(letter)))
            letter = '?';
    return text;
}

SocketName parse_peer(const Device& device, const Port& port, std::string_view address) {
    const auto name = parse_socket_name(address);
    if (!name)
        throw Error(Failure::run,
                    fmt::format("NIC {}: connecting to '{}'", device.name(), shown(address)),
                    "this is no address of a verbs NIC", "Give both ends --nic verbs");
    if (is_ipv4(name->ip) != is_ipv4(ip_of(port)))
        throw Error(Failure::run,
                    fmt::format("NIC {}: connecting to {}", device.name(), shown(address)),
                    fmt::format("GID {} of this side is {}: one is IPv4, the other IPv6",
                                port.gid_index, ip_text(ip_of(port))),
                    "Take GIDs of one kind at both ends, by gid=N");
    return *name;
}

} // namespace

namespace {

int milliseconds(Nanoseconds time) {
    return static_cast<int>(
        std::clamp<Nanoseconds>(time / 1'000'000, 1, std::numeric_limits<int>::max()));
}

// In short steps: the kernel may miss a neighbour's answer that comes at once, as over a wire
// within one machine, and then looks for it only when the time is up.
void resolve_address(const Connection& connection, sockaddr_storage to, const Wait& wait,
                     std::string_view what) {
    constexpr Nanoseconds step = 200'000'000;
    while (true) {
        if (rdma_resolve_addr(connection.id(), nullptr, reinterpret_cast<sockaddr*>(&to),
                              milliseconds(std::min(step, wait.left()))) != 0)
            throw_errno(errno, fmt::format("{}: rdma_resolve_addr", what));
        const ConnectionEvent event = connection.next(wait, what);
        if (event->event == RDMA_CM_EVENT_ADDR_RESOLVED)
            return;
        const bool timed_out =
            event->event == RDMA_CM_EVENT_ADDR_ERROR && event->status == -ETIMEDOUT;
        if (!timed_out || wait.left() == 0)
            refuse(*event, what, 0);
    }
}

} // namespace

std::unique_ptr<Listener> listen(const Device& device, const Port& port,
                                 const VerbsOptions& options) {
    return std::make_unique<VerbsListener>(device, port, options);
}

std::unique_ptr<Endpoint> connect_to(const Device& device, const Port& port,
                                     const VerbsOptions& options, std::string_view address,
                                     const ConnectionKey& key, std::uint32_t in_flight,
                                     const Patience& patience) {
    const SocketName name = parse_peer(device, port, address);
    const std::uint32_t depth = device.queue_depth(in_flight);
    const Wait wait(patience);
    const std::string what =
        fmt::format("NIC {}: connecting to {}", device.name(), socket_name_text(name));
    auto connection = std::make_unique<Connection>(device, port);
    rdma_cm_id* const id = connection->id();
    const auto expect = [&](rdma_cm_event_type type) {
        ConnectionEvent event = connection->next(wait, what);
        if (event->event != type)
            refuse(*event, what, options.queue_pairs);
        return event;
    };

    resolve_address(*connection, socket_address(name, port.interface), wait, what);
    if (rdma_resolve_route(id, milliseconds(wait.left())) != 0)
        throw_errno(errno, fmt::format("{}: rdma_resolve_route", what));
    expect(RDMA_CM_EVENT_ROUTE_RESOLVED);

    auto end = std::make_unique<VerbsEndpoint>(device, port, options, depth);
    const auto request = encode(greeting_of(*end, port, key));
    rdma_conn_param param = parameters(request, end->number(0));
    if (rdma_connect(id, &param) != 0)
        throw_errno(errno, fmt::format("{}: rdma_connect", what));
    {
        const ConnectionEvent event = expect(RDMA_CM_EVENT_CONNECT_RESPONSE);
        const auto answer = decode_greeting(private_data(*event)).greeting;
        if (!answer || !same_key(answer->key, key) || answer->queue_pairs != options.queue_pairs ||
            answer->numbers[0] != event->param.conn.qp_num)
            throw Error(Failure::run, what, "its answer makes no sense",
                        "It is another program, or another clearframe");
        end->connect(*connection, *answer);
    }
    if (rdma_establish(id) != 0)
        throw_errno(errno, fmt::format("{}: rdma_establish", what));
    end->keep(std::move(connection));
    return end;
}

} // namespace clearframe::verbs
