// The calls of libibverbs.
#include "fake_verbs/state.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <utility>

// The library declares them as macros and inline calls of these.
#undef ibv_reg_mr
#undef ibv_query_port

struct ibv_buf {
    void* address;
    std::size_t bytes;
    int fd;
};

namespace clearframe::fake {
namespace {

constexpr std::uint64_t cc_dma_bounce = std::uint64_t{1} << 41;
constexpr std::uint32_t allow_unprotected_queues = 1u << 2;
constexpr int queue_limit = 4096;

struct Domain {
    ibv_pd base{};
    bool shared = false; // a parent domain whose queues lie in shared memory
};

struct MemoryRegion {
    ibv_mr base{};
    std::uint64_t address = 0; // as peers name it
    std::byte* bytes = nullptr;
    bool mapped = false; // by this library
    bool writable = false;
};

struct Channel {
    ibv_comp_channel base{};
    std::deque<ibv_cq*> events;
};

struct CompletionQueue {
    ibv_cq_ex base{};
    std::deque<ibv_wc> completions;
    bool armed = false;

    ibv_cq* plain() { return ibv_cq_ex_to_cq(&base); }
};

struct QueuePair {
    ibv_qp base{};
    std::uint32_t peer = 0;
    std::deque<std::uint64_t> receives; // wr_id

    CompletionQueue& completions() { return *reinterpret_cast<CompletionQueue*>(base.send_cq); }
};

// What the device has. Under the lock.
struct Objects {
    std::map<std::uint32_t, MemoryRegion*> regions; // by key
    std::map<std::uint32_t, QueuePair*> queue_pairs;
    std::uint32_t next_key = 0x1000;
    std::uint32_t next_number = 0x11;
};
Objects& made() {
    static Objects* const all = new Objects;
    return *all;
}

// Queues. ----------------------------------------------------------------------------------------

void push(CompletionQueue& queue, const ibv_wc& completion) {
    queue.completions.push_back(completion);
    if (!queue.armed || !queue.base.channel)
        return;
    queue.armed = false;
    whole<Channel>(queue.base.channel)->events.push_back(queue.plain());
    ring(queue.base.channel->fd);
}

ibv_wc completion_of(const QueuePair& pair, std::uint64_t wr_id, ibv_wc_status status,
                     ibv_wc_opcode opcode) {
    ibv_wc completion{};
    completion.wr_id = wr_id;
    completion.status = status;
    completion.opcode = opcode;
    completion.qp_num = pair.base.qp_num;
    completion.vendor_err = status == IBV_WC_SUCCESS ? 0 : 0x77;
    return completion;
}

void break_pair(QueuePair& pair) {
    pair.base.state = IBV_QPS_ERR;
    for (const std::uint64_t wr_id : std::exchange(pair.receives, {}))
        push(pair.completions(), completion_of(pair, wr_id, IBV_WC_WR_FLUSH_ERR, IBV_WC_RECV));
}

const MemoryRegion* find_region(std::uint32_t key, std::uint64_t address, std::uint64_t length) {
    const auto found = made().regions.find(key);
    if (found == made().regions.end())
        return nullptr;
    const MemoryRegion& region = *found->second;
    return address >= region.address && length <= region.base.length &&
                   address - region.address <= region.base.length - length
               ? &region
               : nullptr;
}

// Does a write, both sides of it; returns how it ended.
ibv_wc_status carry_out(QueuePair& from, const ibv_send_wr& request) {
    const auto peer = made().queue_pairs.find(from.peer);
    if (peer == made().queue_pairs.end() || peer->second->base.state == IBV_QPS_ERR ||
        peer->second->base.state == IBV_QPS_RESET)
        return IBV_WC_RETRY_EXC_ERR;
    QueuePair& to = *peer->second;
    const bool tells = request.opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
    const std::uint32_t length = request.num_sge == 1 ? request.sg_list->length : 0;
    if (length > 0) {
        const ibv_sge& piece = *request.sg_list;
        const MemoryRegion* const source = find_region(piece.lkey, piece.addr, length);
        if (!source || source->base.context != from.base.context)
            return IBV_WC_LOC_PROT_ERR;
        const std::uint64_t address = request.wr.rdma.remote_addr;
        const MemoryRegion* const target = find_region(request.wr.rdma.rkey, address, length);
        if (!target || !target->writable || target->base.context != to.base.context) {
            break_pair(to);
            return IBV_WC_REM_ACCESS_ERR;
        }
        if (tells && to.receives.empty())
            return IBV_WC_RNR_RETRY_EXC_ERR;
        std::memcpy(target->bytes + (address - target->address),
                    source->bytes + (piece.addr - source->address), length);
    }
    if (!tells)
        return IBV_WC_SUCCESS;
    if (to.receives.empty())
        return IBV_WC_RNR_RETRY_EXC_ERR;
    ibv_wc completion =
        completion_of(to, to.receives.front(), IBV_WC_SUCCESS, IBV_WC_RECV_RDMA_WITH_IMM);
    to.receives.pop_front();
    completion.wc_flags = IBV_WC_WITH_IMM;
    completion.imm_data = request.imm_data;
    completion.byte_len = length;
    push(to.completions(), completion);
    return IBV_WC_SUCCESS;
}

int post_send(ibv_qp* base, ibv_send_wr* request, ibv_send_wr** refused) {
    auto& pair = *whole<QueuePair>(base);
    for (; request; request = request->next) {
        if (const Call call("ibv_post_send"); !call) {
            *refused = request;
            return call.error();
        } else {
            ++state().writes[base->qp_num];
            ibv_wc_status status = IBV_WC_WR_FLUSH_ERR;
            if (pair.base.state != IBV_QPS_ERR) {
                status = carry_out(pair, *request);
                if (status != IBV_WC_SUCCESS)
                    break_pair(pair);
            }
            if (status != IBV_WC_SUCCESS || (request->send_flags & IBV_SEND_SIGNALED))
                push(pair.completions(),
                     completion_of(pair, request->wr_id, status, IBV_WC_RDMA_WRITE));
        }
    }
    return 0;
}

int post_recv(ibv_qp* base, ibv_recv_wr* request, ibv_recv_wr** refused) {
    const Call call("ibv_post_recv");
    if (!call) {
        *refused = request;
        return call.error();
    }
    auto& pair = *whole<QueuePair>(base);
    for (; request; request = request->next)
        pair.receives.push_back(request->wr_id);
    if (pair.base.state == IBV_QPS_ERR)
        break_pair(pair);
    return 0;
}

int poll_cq(ibv_cq* base, int count, ibv_wc* completions) {
    const Call call("ibv_poll_cq");
    if (!call)
        return -call.error();
    auto& queue = *whole<CompletionQueue>(base);
    std::vector<ibv_wc> taken(static_cast<std::size_t>(count));
    int filled = 0;
    for (; filled < count && !queue.completions.empty(); ++filled) {
        taken[static_cast<std::size_t>(filled)] = queue.completions.front();
        queue.completions.pop_front();
    }
    if (state().lie)
        filled = state().lie(taken, filled);
    std::copy(taken.begin(), taken.end(), completions);
    return filled;
}

int req_notify_cq(ibv_cq* base, int) {
    const Call call("ibv_req_notify_cq");
    if (call)
        whole<CompletionQueue>(base)->armed = true;
    return call.error();
}

// What is called through a context. --------------------------------------------------------------

int query_device_ex(ibv_context*, const ibv_query_device_ex_input*, ibv_device_attr_ex* attributes,
                    std::size_t size) {
    const Call call("ibv_query_device_ex");
    std::memset(attributes, 0, size);
    attributes->orig_attr.max_qp_wr = queue_limit;
    attributes->orig_attr.max_cqe = 2 * queue_limit;
    attributes->device_cap_flags_ex = state().traits.bounces ? cc_dma_bounce : 0;
    return call.error();
}

int query_port(ibv_context*, std::uint8_t, ibv_port_attr* attributes, std::size_t size) {
    const Call call("ibv_query_port");
    std::memset(attributes, 0, size);
    attributes->state = IBV_PORT_ACTIVE;
    attributes->active_mtu = attributes->max_mtu = IBV_MTU_4096;
    attributes->link_layer = IBV_LINK_LAYER_ETHERNET;
    attributes->max_msg_sz = state().traits.max_message;
    return call.error();
}

ibv_pd* new_domain(ibv_context* context, bool shared) {
    auto* const domain = create<Domain>();
    domain->base.context = context;
    domain->shared = shared;
    return &domain->base;
}

ibv_pd* alloc_parent_domain(ibv_context* context, ibv_parent_domain_init_attr* attributes) {
    Call call("ibv_alloc_parent_domain");
    if (!call)
        return nullptr;
    if (!state().traits.has_parent_domains)
        return call.fail(EOPNOTSUPP), nullptr;
    return new_domain(context, (attributes->comp_mask & allow_unprotected_queues) != 0);
}

CompletionQueue* new_queue(ibv_context* context, ibv_comp_channel* channel) {
    auto* const queue = create<CompletionQueue>();
    queue->base.context = context;
    queue->base.channel = channel;
    return queue;
}

ibv_cq_ex* create_cq_ex(ibv_context* context, ibv_cq_init_attr_ex* attributes) {
    Call call("ibv_create_cq_ex");
    if (!call)
        return nullptr;
    const bool on_domain = (attributes->comp_mask & IBV_CQ_INIT_ATTR_MASK_PD) &&
                           whole<Domain>(attributes->parent_domain)->shared;
    if (state().traits.bounces && !on_domain)
        return call.fail(EOPNOTSUPP), nullptr;
    return &new_queue(context, attributes->channel)->base;
}

int modify_cq(ibv_cq*, ibv_modify_cq_attr*) {
    Call call("ibv_modify_cq");
    if (!call)
        return call.error();
    return state().traits.moderates ? 0 : call.fail(EOPNOTSUPP);
}

struct DeviceFile {
    verbs_context extended{};
    ibv_device device{};
};

MemoryRegion* new_region(ibv_pd* domain, std::byte* bytes, std::size_t length,
                         std::uint64_t address, int access) {
    auto* const region = create<MemoryRegion>();
    region->base.context = domain->context;
    region->base.pd = domain;
    region->base.addr = bytes;
    region->base.length = length;
    region->base.lkey = region->base.rkey = made().next_key++;
    region->address = address;
    region->bytes = bytes;
    region->writable = (access & IBV_ACCESS_REMOTE_WRITE) != 0;
    made().regions[region->base.lkey] = region;
    return region;
}

} // namespace

} // namespace clearframe::fake

using namespace clearframe::fake; // NOLINT: what follows is a C library

extern "C" {

ibv_device** ibv_get_device_list(int* count) {
    const Call call("ibv_get_device_list");
    if (!call)
        return nullptr;
    auto** const list = new ibv_device* [2] { new ibv_device(the_device()), nullptr };
    if (count)
        *count = 1;
    return list;
}

void ibv_free_device_list(ibv_device** list) {
    delete list[0];
    delete[] list;
}

const char* ibv_get_device_name(ibv_device* device) { return device->name; }

ibv_context* ibv_open_device(ibv_device* device) {
    const Call call("ibv_open_device");
    if (!call)
        return nullptr;
    auto* const opened = create<DeviceFile>();
    opened->device = *device; // the list may go
    verbs_context& extended = opened->extended;
    extended.sz = sizeof extended;
    extended.query_device_ex = query_device_ex;
    extended.query_port = query_port;
    extended.alloc_parent_domain = alloc_parent_domain;
    extended.create_cq_ex = create_cq_ex;
    extended.modify_cq = modify_cq;
    ibv_context& context = extended.context;
    context.device = &opened->device;
    context.abi_compat = __VERBS_ABI_IS_EXTENDED;
    context.async_fd = make_bell();
    context.ops.poll_cq = poll_cq;
    context.ops.req_notify_cq = req_notify_cq;
    context.ops.post_send = post_send;
    context.ops.post_recv = post_recv;
    state().contexts.push_back(&context);
    return &context;
}

int ibv_close_device(ibv_context* context) {
    const Call call("ibv_close_device");
    std::erase(state().contexts, context);
    ::close(context->async_fd);
    destroy(whole<DeviceFile>(verbs_get_ctx(context)));
    return 0;
}

int ibv_query_port(ibv_context* context, std::uint8_t number, _compat_ibv_port_attr* attributes) {
    return query_port(context, number, reinterpret_cast<ibv_port_attr*>(attributes),
                      sizeof(ibv_port_attr));
}

int ibv_query_device(ibv_context* context, ibv_device_attr* attributes) {
    ibv_device_attr_ex all{};
    const int error = query_device_ex(context, nullptr, &all, sizeof all);
    *attributes = all.orig_attr;
    return error;
}

int _ibv_query_gid_ex(ibv_context*, std::uint32_t port, std::uint32_t index, ibv_gid_entry* entry,
                      std::uint32_t, std::size_t size) {
    const Call call("ibv_query_gid_ex");
    std::memset(entry, 0, size);
    entry->gid.raw[10] = entry->gid.raw[11] = 0xff;
    entry->gid.raw[12] = 10;
    entry->gid.raw[15] = 1;
    entry->port_num = port;
    entry->gid_index = index;
    entry->gid_type = IBV_GID_TYPE_ROCE_V2;
    return call.error();
}

ibv_pd* ibv_alloc_pd(ibv_context* context) {
    const Call call("ibv_alloc_pd");
    return call ? new_domain(context, false) : nullptr;
}

int ibv_dealloc_pd(ibv_pd* domain) {
    const Call call("ibv_dealloc_pd");
    destroy(whole<Domain>(domain));
    return 0;
}

ibv_mr* ibv_reg_mr_iova2(ibv_pd* domain, void* address, std::size_t length, std::uint64_t iova,
                         unsigned access) {
    Call call("ibv_reg_mr");
    if (!call)
        return nullptr;
    if (state().traits.bounces || !state().traits.takes_mappings)
        return call.fail(state().traits.bounces ? EOPNOTSUPP : EFAULT), nullptr;
    return &new_region(domain, static_cast<std::byte*>(address), length, iova,
                       static_cast<int>(access))
                ->base;
}

ibv_mr* ibv_reg_mr(ibv_pd* domain, void* address, std::size_t length, int access) {
    return ibv_reg_mr_iova2(domain, address, length, reinterpret_cast<std::uint64_t>(address),
                            static_cast<unsigned>(access));
}

ibv_mr* ibv_reg_dmabuf_mr(ibv_pd* domain, std::uint64_t offset, std::size_t length,
                          std::uint64_t iova, int fd, int access) {
    Call call("ibv_reg_dmabuf_mr");
    if (!call)
        return nullptr;
    if (!state().traits.takes_dma_bufs)
        return call.fail(EOPNOTSUPP), nullptr;
    void* const bytes =
        ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off_t>(offset));
    if (bytes == MAP_FAILED)
        return nullptr;
    MemoryRegion* const region =
        new_region(domain, static_cast<std::byte*>(bytes), length, iova, access);
    region->mapped = true;
    return &region->base;
}

int ibv_dereg_mr(ibv_mr* base) {
    const Call call("ibv_dereg_mr");
    auto* const region = whole<MemoryRegion>(base);
    made().regions.erase(base->lkey);
    if (region->mapped)
        ::munmap(region->bytes, base->length);
    destroy(region);
    return 0;
}

ibv_comp_channel* ibv_create_comp_channel(ibv_context* context) {
    const Call call("ibv_create_comp_channel");
    if (!call)
        return nullptr;
    auto* const channel = create<Channel>();
    channel->base.context = context;
    channel->base.fd = make_bell();
    return &channel->base;
}

int ibv_destroy_comp_channel(ibv_comp_channel* channel) {
    const Call call("ibv_destroy_comp_channel");
    ::close(channel->fd);
    destroy(whole<Channel>(channel));
    return 0;
}

int ibv_get_cq_event(ibv_comp_channel* base, ibv_cq** queue, void** context) {
    Call call("ibv_get_cq_event");
    auto* const channel = whole<Channel>(base);
    if (!call || !take_ring(base->fd) || channel->events.empty())
        return -1;
    *queue = channel->events.front();
    *context = nullptr;
    channel->events.pop_front();
    return 0;
}

void ibv_ack_cq_events(ibv_cq*, unsigned) {}

ibv_cq* ibv_create_cq(ibv_context* context, int, void*, ibv_comp_channel* channel, int) {
    Call call("ibv_create_cq");
    if (!call)
        return nullptr;
    if (state().traits.bounces)
        return call.fail(EOPNOTSUPP), nullptr;
    return new_queue(context, channel)->plain();
}

int ibv_destroy_cq(ibv_cq* queue) {
    const Call call("ibv_destroy_cq");
    destroy(whole<CompletionQueue>(queue));
    return 0;
}

ibv_qp* ibv_create_qp(ibv_pd* domain, ibv_qp_init_attr* attributes) {
    Call call("ibv_create_qp");
    if (!call)
        return nullptr;
    if (state().traits.bounces && !whole<Domain>(domain)->shared)
        return call.fail(EOPNOTSUPP), nullptr;
    auto* const pair = create<QueuePair>();
    pair->base.context = domain->context;
    pair->base.pd = domain;
    pair->base.send_cq = attributes->send_cq;
    pair->base.recv_cq = attributes->recv_cq;
    pair->base.qp_num = made().next_number++;
    pair->base.qp_type = attributes->qp_type;
    made().queue_pairs[pair->base.qp_num] = pair;
    state().writes[pair->base.qp_num] = 0;
    return &pair->base;
}

int ibv_modify_qp(ibv_qp* base, ibv_qp_attr* attributes, int mask) {
    const Call call("ibv_modify_qp");
    if (!call)
        return call.error();
    auto& pair = *whole<QueuePair>(base);
    if (mask & IBV_QP_DEST_QPN)
        pair.peer = attributes->dest_qp_num;
    if (attributes->qp_state == IBV_QPS_ERR)
        break_pair(pair);
    base->state = attributes->qp_state;
    return 0;
}

int ibv_destroy_qp(ibv_qp* base) {
    const Call call("ibv_destroy_qp");
    made().queue_pairs.erase(base->qp_num);
    state().writes.erase(base->qp_num);
    destroy(whole<QueuePair>(base));
    return 0;
}

int ibv_get_async_event(ibv_context* context, ibv_async_event* event) {
    const Call call("ibv_get_async_event");
    if (!call || !take_ring(context->async_fd) || state().events.empty())
        return -1;
    event->event_type = state().events.front();
    state().events.pop_front();
    return 0;
}

void ibv_ack_async_event(ibv_async_event*) {}

// rdma-core 64 and 65, which this system's headers may not know.
void* ibv_alloc_buf(ibv_pd*, std::size_t size, ibv_buf** buffer) {
    const Call call("ibv_alloc_buf");
    if (!call)
        return nullptr;
    const int fd = state().traits.allocates_dma_bufs ? ::memfd_create("ibv_buf", MFD_CLOEXEC) : -1;
    if (fd >= 0 && ::ftruncate(fd, static_cast<off_t>(size)) != 0)
        return nullptr;
    void* const address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                                 fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, fd, 0);
    std::memset(address, 0xee, size); // it promises nothing of what is in it
    *buffer = create<ibv_buf>();
    **buffer = {address, size, fd};
    return address;
}

int ibv_export_buf_dmabuf_fd(ibv_buf* buffer) {
    Call call("ibv_export_buf_dmabuf_fd");
    if (!call)
        return -1;
    if (buffer->fd < 0)
        return call.fail(ENODATA), -1;
    return ::fcntl(buffer->fd, F_DUPFD_CLOEXEC, 0);
}

void ibv_free_buf(ibv_buf* buffer) {
    const Call call("ibv_free_buf");
    ::munmap(buffer->address, buffer->bytes);
    if (buffer->fd >= 0)
        ::close(buffer->fd);
    destroy(buffer);
}
}
