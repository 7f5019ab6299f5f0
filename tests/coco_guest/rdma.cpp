#include "coco_guest/rdma.h"

#include "core/clock.h"
#include "core/error.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <errno.h>
#include <sched.h>

#include <cstdlib>
#include <string>
#include <string_view>

namespace clearframe::guest {
namespace {

constexpr std::uint8_t port = 1;
constexpr Nanoseconds patience = 60'000'000'000; // a hang ends the test, not a slow machine

QueuePair make_queue_pair(const Rdma& rdma, ibv_cq* completions) {
    ibv_qp_init_attr attributes{};
    attributes.send_cq = completions;
    attributes.recv_cq = completions;
    attributes.cap = {.max_send_wr = 1, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1};
    attributes.qp_type = IBV_QPT_RC;
    QueuePair queue_pair(ibv_create_qp(rdma.pd(), &attributes));
    if (!queue_pair)
        throw_errno(errno, "ibv_create_qp");
    return queue_pair;
}

// The port's address for RoCE version 2 over IPv4.
ibv_gid_entry find_gid(ibv_context* context) {
    ibv_gid_entry entry{};
    for (std::uint32_t index = 0; index < 16; ++index)
        if (ibv_query_gid_ex(context, port, index, &entry, 0) == 0 &&
            entry.gid_type == IBV_GID_TYPE_ROCE_V2 && entry.gid.raw[10] == 0xff &&
            entry.gid.raw[11] == 0xff)
            return entry;
    throw Error(Failure::run, "ibv_query_gid_ex: rxe0 has no address of RoCE v2 over IPv4", {}, {});
}

void modify(ibv_qp* queue_pair, ibv_qp_attr attributes, int mask) {
    if (const int error = ibv_modify_qp(queue_pair, &attributes, mask))
        throw_errno(
            error, fmt::format("ibv_modify_qp to state {}", static_cast<int>(attributes.qp_state)));
}

void connect(ibv_qp* queue_pair, const ibv_qp* peer, const ibv_gid_entry& gid) {
    ibv_qp_attr init{};
    init.qp_state = IBV_QPS_INIT;
    init.port_num = port;
    init.qp_access_flags = full_access;
    modify(queue_pair, init, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);

    ibv_qp_attr receive{};
    receive.qp_state = IBV_QPS_RTR;
    receive.path_mtu = IBV_MTU_1024;
    receive.dest_qp_num = peer->qp_num;
    receive.max_dest_rd_atomic = 1;
    receive.min_rnr_timer = 12;
    receive.ah_attr.is_global = 1;
    receive.ah_attr.port_num = port;
    receive.ah_attr.grh.dgid = gid.gid;
    receive.ah_attr.grh.sgid_index = static_cast<std::uint8_t>(gid.gid_index);
    receive.ah_attr.grh.hop_limit = 1;
    modify(queue_pair, receive,
           IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
               IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);

    ibv_qp_attr send{};
    send.qp_state = IBV_QPS_RTS;
    send.timeout = 14;
    send.retry_cnt = 7;
    send.rnr_retry = 7;
    send.max_rd_atomic = 1;
    modify(queue_pair, send,
           IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
               IBV_QP_MAX_QP_RD_ATOMIC);
}

void command(const std::string& text) {
    if (const int status = std::system(text.c_str()))
        throw Error(Failure::run, text, fmt::format("status {}", status), {});
}

void set_link(std::string_view state) {
    command(fmt::format("ip link set roce0 {0} || ip link set eth0 {0}", state));
}

} // namespace

void make_soft_roce(std::string_view options) {
    command(fmt::format("{} {} >&2", CLEARFRAME_SOFT_ROCE, options));
}

LinkDown::LinkDown() { set_link("down"); }

LinkDown::~LinkDown() {
    try {
        set_link("up");
        make_soft_roce();
    } catch (const Error& error) {
        ADD_FAILURE() << error.what();
    }
}

Rdma::Rdma() {
    int count = 0;
    const verbs::DeviceList devices(ibv_get_device_list(&count));
    for (int i = 0; devices && i < count && !context_; ++i)
        if (std::string_view(ibv_get_device_name(devices.get()[i])) == "rxe0")
            context_.reset(ibv_open_device(devices.get()[i]));
    if (!context_)
        throw Error(Failure::unavailable, "opening the RDMA device rxe0", {},
                    "In the guest, tests/coco_guest/soft_roce makes it");
    pd_.reset(ibv_alloc_pd(context_.get()));
    if (!pd_)
        throw_errno(errno, "ibv_alloc_pd");
}

std::uint64_t Rdma::capabilities() const {
    ibv_device_attr_ex attributes{};
    if (const int error = ibv_query_device_ex(context(), nullptr, &attributes))
        throw_errno(error, "ibv_query_device_ex");
    return attributes.device_cap_flags_ex;
}

Connection::Connection(const Rdma& rdma)
    : completions_(ibv_create_cq(rdma.context(), 4, nullptr, nullptr, 0)) {
    if (!completions_)
        throw_errno(errno, "ibv_create_cq");
    sender_ = make_queue_pair(rdma, completions_.get());
    receiver_ = make_queue_pair(rdma, completions_.get());
    const ibv_gid_entry gid = find_gid(rdma.context());
    connect(sender_.get(), receiver_.get(), gid);
    connect(receiver_.get(), sender_.get(), gid);
}

ibv_wc_status Connection::write(const ibv_mr& from, std::uint64_t from_address, const ibv_mr& to,
                                std::uint64_t to_address, std::uint32_t bytes) {
    ibv_sge piece{.addr = from_address, .length = bytes, .lkey = from.lkey};
    ibv_send_wr request{};
    request.sg_list = &piece;
    request.num_sge = 1;
    request.opcode = IBV_WR_RDMA_WRITE;
    request.send_flags = IBV_SEND_SIGNALED;
    request.wr.rdma = {.remote_addr = to_address, .rkey = to.rkey};
    ibv_send_wr* refused = nullptr;
    if (const int error = ibv_post_send(sender_.get(), &request, &refused))
        throw_errno(error, "ibv_post_send");
    const Nanoseconds deadline = now() + patience;
    ibv_wc completion{};
    while (now() < deadline) {
        const int found = ibv_poll_cq(completions_.get(), 1, &completion);
        if (found < 0)
            throw Error(Failure::run, "ibv_poll_cq", {}, {});
        if (found == 1)
            return completion.status;
        ::sched_yield();
    }
    throw Error(Failure::run, "waiting for an RDMA WRITE to complete", {}, {});
}

} // namespace clearframe::guest
