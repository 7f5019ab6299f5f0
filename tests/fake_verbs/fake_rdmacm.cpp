// The calls of librdmacm: connections of this process to itself.
#include "fake_verbs/state.h"

#include <unistd.h>

#include <algorithm>
#include <arpa/inet.h>
#include <cstring>
#include <deque>
#include <map>
#include <span>
#include <utility>

namespace clearframe::fake {
namespace {

// Reasons of the InfiniBand specification (12.6.7.2).
constexpr int no_such_service = 8;
constexpr int by_its_consumer = 28;

struct Event {
    rdma_cm_event base{};
    std::vector<std::byte> data;
};

struct EventChannel {
    rdma_event_channel base{};
    std::deque<Event*> events;
};

struct Id {
    rdma_cm_id base{};
    std::uint16_t port = 0; // of its own
    bool established = false;
    Id* peer = nullptr;
    std::uint32_t peer_number = 0; // of its queue pair
};

struct Network {
    ibv_device device = the_device();
    ibv_context context{};
    std::map<std::uint16_t, Id*> listeners;
    std::uint16_t next_port = 20000;
};
Network& network() {
    static Network* const all = new Network;
    return *all;
}

void tell(Id& id, rdma_cm_event_type type, int status = 0, std::span<const std::byte> data = {},
          std::uint32_t number = 0, Id* listener = nullptr) {
    auto* const event = create<Event>();
    event->base.id = &id.base;
    event->base.listen_id = listener ? &listener->base : nullptr;
    event->base.event = type;
    event->base.status = status;
    event->data.assign(data.begin(), data.end());
    event->base.param.conn.qp_num = number;
    auto* const channel = whole<EventChannel>(id.base.channel);
    channel->events.push_back(event);
    ring(channel->base.fd);
}

std::span<const std::byte> data_of(const rdma_conn_param& param) {
    return {static_cast<const std::byte*>(param.private_data), param.private_data_len};
}

Id* create_id(rdma_event_channel* channel) {
    auto* const id = create<Id>();
    id->base.channel = channel;
    id->base.ps = RDMA_PS_TCP;
    return id;
}

void bind_device(Id& id) {
    network().context.device = &network().device;
    id.base.verbs = &network().context;
    id.base.port_num = 1;
}

void part(Id& id) {
    if (Id* const peer = std::exchange(id.peer, nullptr)) {
        peer->peer = nullptr;
        if (id.established || peer->established)
            tell(*peer, RDMA_CM_EVENT_DISCONNECTED);
        else
            tell(*peer, RDMA_CM_EVENT_REJECTED, by_its_consumer);
    }
}

// With what nobody has taken yet: the kernel turns those away who ask for it.
void destroy_id(Id& id) {
    part(id);
    std::erase_if(network().listeners, [&](const auto& entry) { return entry.second == &id; });
    auto& events = whole<EventChannel>(id.base.channel)->events;
    std::vector<Event*> gone;
    std::erase_if(events, [&](Event* event) {
        const bool its = event->base.id == &id.base || event->base.listen_id == &id.base;
        if (its)
            gone.push_back(event);
        return its;
    });
    for (Event* const event : gone) {
        if (event->base.event == RDMA_CM_EVENT_CONNECT_REQUEST && event->base.id != &id.base)
            destroy_id(*whole<Id>(event->base.id));
        destroy(event);
    }
    destroy(&id);
}

int answered(const Call& call) { return call ? 0 : -1; }

int refused(Call& call, int error) {
    call.fail(error);
    return -1;
}

} // namespace
} // namespace clearframe::fake

using namespace clearframe::fake; // NOLINT: what follows is a C library

extern "C" {

rdma_event_channel* rdma_create_event_channel() {
    const Call call("rdma_create_event_channel");
    if (!call)
        return nullptr;
    auto* const channel = create<EventChannel>();
    channel->base.fd = make_bell();
    return &channel->base;
}

void rdma_destroy_event_channel(rdma_event_channel* channel) {
    const Call call("rdma_destroy_event_channel");
    ::close(channel->fd);
    destroy(whole<EventChannel>(channel));
}

int rdma_create_id(rdma_event_channel* channel, rdma_cm_id** id, void*, rdma_port_space) {
    const Call call("rdma_create_id");
    if (call)
        *id = &create_id(channel)->base;
    return answered(call);
}

int rdma_destroy_id(rdma_cm_id* id) {
    const Call call("rdma_destroy_id");
    destroy_id(*whole<Id>(id));
    return 0;
}

int rdma_bind_addr(rdma_cm_id* id, sockaddr*) {
    const Call call("rdma_bind_addr");
    if (call) {
        whole<Id>(id)->port = network().next_port++;
        bind_device(*whole<Id>(id));
    }
    return answered(call);
}

__be16 rdma_get_src_port(rdma_cm_id* id) { return htons(whole<Id>(id)->port); }

int rdma_listen(rdma_cm_id* id, int) {
    const Call call("rdma_listen");
    if (call)
        network().listeners[whole<Id>(id)->port] = whole<Id>(id);
    return answered(call);
}

int rdma_resolve_addr(rdma_cm_id* id, sockaddr*, sockaddr* to, int) {
    const Call call("rdma_resolve_addr");
    if (call) {
        std::memcpy(&id->route.addr.dst_storage, to, sizeof(sockaddr_in));
        bind_device(*whole<Id>(id));
        tell(*whole<Id>(id), RDMA_CM_EVENT_ADDR_RESOLVED);
    }
    return answered(call);
}

int rdma_resolve_route(rdma_cm_id* id, int) {
    const Call call("rdma_resolve_route");
    if (call)
        tell(*whole<Id>(id), RDMA_CM_EVENT_ROUTE_RESOLVED);
    return answered(call);
}

int rdma_connect(rdma_cm_id* base, rdma_conn_param* param) {
    const Call call("rdma_connect");
    if (!call)
        return -1;
    auto& id = *whole<Id>(base);
    const auto found = network().listeners.find(ntohs(base->route.addr.dst_sin.sin_port));
    if (found == network().listeners.end()) {
        tell(id, RDMA_CM_EVENT_REJECTED, no_such_service);
        return 0;
    }
    Id& listener = *found->second;
    Id& request = *create_id(listener.base.channel);
    bind_device(request);
    request.peer = &id;
    request.peer_number = param->qp_num;
    id.peer = &request;
    tell(request, RDMA_CM_EVENT_CONNECT_REQUEST, 0, data_of(*param), param->qp_num, &listener);
    return 0;
}

int rdma_accept(rdma_cm_id* base, rdma_conn_param* param) {
    Call call("rdma_accept");
    if (!call)
        return -1;
    Id* const peer = whole<Id>(base)->peer;
    if (!peer)
        return refused(call, ECONNRESET);
    peer->peer_number = param->qp_num;
    tell(*peer, RDMA_CM_EVENT_CONNECT_RESPONSE, 0, data_of(*param), param->qp_num);
    return 0;
}

int rdma_establish(rdma_cm_id* base) {
    Call call("rdma_establish");
    if (!call)
        return -1;
    auto& id = *whole<Id>(base);
    if (!id.peer)
        return refused(call, EINVAL);
    id.established = id.peer->established = true;
    tell(*id.peer, RDMA_CM_EVENT_ESTABLISHED);
    return 0;
}

int rdma_reject(rdma_cm_id* base, const void* data, std::uint8_t length) {
    Call call("rdma_reject");
    if (!call)
        return -1;
    Id* const peer = std::exchange(whole<Id>(base)->peer, nullptr);
    if (!peer)
        return refused(call, EINVAL);
    peer->peer = nullptr;
    tell(*peer, RDMA_CM_EVENT_REJECTED, by_its_consumer,
         {static_cast<const std::byte*>(data), length});
    return 0;
}

int rdma_disconnect(rdma_cm_id* id) {
    Call call("rdma_disconnect");
    if (!call)
        return -1;
    if (!whole<Id>(id)->peer)
        return refused(call, EINVAL);
    part(*whole<Id>(id));
    return 0;
}

int rdma_migrate_id(rdma_cm_id* id, rdma_event_channel* channel) {
    const Call call("rdma_migrate_id");
    if (!call)
        return -1;
    auto& from = whole<EventChannel>(id->channel)->events;
    auto& to = whole<EventChannel>(channel)->events;
    for (Event* const event : from)
        if (event->base.id == id) {
            to.push_back(event);
            ring(channel->fd);
        }
    std::erase_if(from, [&](Event* event) { return event->base.id == id; });
    id->channel = channel;
    return 0;
}

int rdma_init_qp_attr(rdma_cm_id* id, ibv_qp_attr* attributes, int* mask) {
    const Call call("rdma_init_qp_attr");
    *mask = IBV_QP_STATE;
    if (attributes->qp_state == IBV_QPS_RTR) {
        attributes->dest_qp_num = whole<Id>(id)->peer_number;
        attributes->path_mtu = IBV_MTU_4096;
        *mask |= IBV_QP_DEST_QPN | IBV_QP_PATH_MTU;
    }
    return answered(call);
}

int rdma_get_cm_event(rdma_event_channel* base, rdma_cm_event** taken) {
    Call call("rdma_get_cm_event");
    if (!call)
        return -1;
    auto& events = whole<EventChannel>(base)->events;
    if (!take_ring(base->fd))
        return -1;
    if (events.empty()) // whose ring this was has gone
        return refused(call, EAGAIN);
    Event* const event = events.front();
    events.pop_front();
    if (state().tamper)
        state().tamper(event->base, event->data);
    event->base.param.conn.private_data = event->data.data();
    event->base.param.conn.private_data_len = static_cast<std::uint8_t>(event->data.size());
    *taken = &event->base;
    return 0;
}

int rdma_ack_cm_event(rdma_cm_event* event) {
    const Call call("rdma_ack_cm_event");
    destroy(whole<Event>(event));
    return 0;
}
}
