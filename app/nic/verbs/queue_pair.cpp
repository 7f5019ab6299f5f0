#include "nic/verbs/queue_pair.h"

#include "core/error.h"

#include <fmt/format.h>

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <limits>
#include <mutex>
#include <utility>

namespace clearframe::verbs {
namespace {

constexpr std::size_t chain_length = 64;                      // requests handed over at once
constexpr std::uint64_t receive_tag = std::uint64_t{1} << 63; // in a receive's wr_id

// 0.64 ms, once (InfiniBand specification, 9.7.5.2.8): a receiver that keeps its promises always
// has a receive posted, so one that does not is not waited for.
constexpr std::uint8_t receiver_not_ready_timer = 12;
constexpr std::uint8_t receiver_not_ready_retries = 1;
// 4.096 us * 2^14 = 67 ms, seven times: a link that is gone shows within some seconds.
constexpr std::uint8_t ack_timeout = 14;
constexpr std::uint8_t retries = 7;

void modify(ibv_qp* queue_pair, ibv_qp_attr attributes, int mask) {
    if (const int error = ibv_modify_qp(queue_pair, &attributes, mask))
        throw_errno(error, fmt::format("NIC verbs: ibv_modify_qp to state {}",
                                       static_cast<int>(attributes.qp_state)));
}

// Those of enum ibv_wc_status that Completion knows have the same values.
WcStatus status_of(ibv_wc_status status) {
    switch (status) {
    case IBV_WC_SUCCESS:
    case IBV_WC_LOC_LEN_ERR:
    case IBV_WC_LOC_PROT_ERR:
    case IBV_WC_WR_FLUSH_ERR:
    case IBV_WC_REM_ACCESS_ERR:
    case IBV_WC_REM_OP_ERR:
    case IBV_WC_RETRY_EXC_ERR:
    case IBV_WC_RNR_RETRY_EXC_ERR:
    case IBV_WC_FATAL_ERR:
        return static_cast<WcStatus>(status);
    default:
        return WcStatus::general_error;
    }
}

[[noreturn]] void distrust(std::string_view what) {
    throw Error(Failure::run, fmt::format("NIC verbs: {}", what), {},
                "The device or its driver is broken, or not to be trusted");
}

timespec until(Nanoseconds deadline) {
    const Nanoseconds left = std::max<Nanoseconds>(deadline - now(), 0);
    return {.tv_sec = static_cast<time_t>(left / 1'000'000'000),
            .tv_nsec = static_cast<long>(left % 1'000'000'000)};
}

} // namespace

VerbsEndpoint::VerbsEndpoint(const Device& device, const Port& port, const VerbsOptions& options,
                             std::uint32_t depth)
    : Endpoint({.send_queue = depth, .receive_queue = depth, .max_message = port.max_message}),
      device_(device),
      port_(port),
      spin_(options.spin),
      bell_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      sends_(depth),
      fetched_(chain_length),
      requests_(chain_length),
      pieces_(chain_length),
      receive_requests_(chain_length) {
    if (!bell_)
        throw_errno(errno, "NIC verbs: eventfd");
    channel_.reset(ibv_create_comp_channel(device.context()));
    if (!channel_)
        throw_errno(errno, fmt::format("{}: ibv_create_comp_channel", device.name()));
    set_nonblocking(channel_->fd);
    completions_ = device.make_completion_queue(static_cast<int>(2 * depth), channel_.get());
    if (options.cq_moderation > 0) {
        ibv_modify_cq_attr attributes{};
        attributes.attr_mask = IBV_CQ_ATTR_MODERATE;
        attributes.moderate = {.cq_count = options.cq_moderation, .cq_period = 16};
        if (const int error = ibv_modify_cq(completions_.get(), &attributes))
            throw_errno(error,
                        fmt::format("{}: ibv_modify_cq for cq-moderation={}", device.name(),
                                    options.cq_moderation),
                        "Leave it out: this device has no such thing", Failure::unavailable);
    }
    queue_pair_ = device.make_queue_pair(completions_.get(), depth);
}

struct VerbsEndpoint::Tie {
    std::mutex mutex;
    std::array<VerbsEndpoint*, 2> ends{}; // those that are still there
};

void VerbsEndpoint::tie(VerbsEndpoint& one, VerbsEndpoint& other) {
    const auto tie = std::make_shared<Tie>();
    tie->ends = {&one, &other};
    one.tie_ = other.tie_ = tie;
}

// The queue pair goes first of the members: when the kernel has destroyed it, nothing of it moves
// any more.
VerbsEndpoint::~VerbsEndpoint() {
    if (!tie_)
        return;
    const std::lock_guard lock(tie_->mutex);
    for (VerbsEndpoint*& end : tie_->ends)
        if (end == this)
            end = nullptr;
    for (VerbsEndpoint* const end : tie_->ends)
        if (end) {
            end->hung_up_.store(true);
            end->ring_bell();
        }
}

// What is under way, and all that is posted later, completes as flushed.
void VerbsEndpoint::hang_up() {
    ibv_qp_attr attributes{};
    attributes.qp_state = IBV_QPS_ERR;
    modify(queue_pair_.get(), attributes, IBV_QP_STATE);
}

void VerbsEndpoint::connect(std::uint32_t peer, const Port& port) {
    ibv_qp_attr init{};
    init.qp_state = IBV_QPS_INIT;
    init.port_num = port_.number;
    init.qp_access_flags = IBV_ACCESS_REMOTE_WRITE;
    modify(queue_pair_.get(), init,
           IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);

    ibv_qp_attr receive{};
    receive.qp_state = IBV_QPS_RTR;
    receive.path_mtu = std::min(port_.mtu, port.mtu);
    receive.dest_qp_num = peer;
    receive.max_dest_rd_atomic = 1;
    receive.min_rnr_timer = receiver_not_ready_timer;
    receive.ah_attr.port_num = port_.number;
    receive.ah_attr.dlid = port.lid;
    if (port.ethernet) {
        receive.ah_attr.is_global = 1;
        receive.ah_attr.grh.dgid = port.gid;
        receive.ah_attr.grh.sgid_index = port_.gid_index;
        receive.ah_attr.grh.hop_limit = 64;
    }
    modify(queue_pair_.get(), receive,
           IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
               IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);

    ibv_qp_attr send{};
    send.qp_state = IBV_QPS_RTS;
    send.timeout = ack_timeout;
    send.retry_cnt = retries;
    send.rnr_retry = receiver_not_ready_retries;
    send.max_rd_atomic = 1;
    modify(queue_pair_.get(), send,
           IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
               IBV_QP_MAX_QP_RD_ATOMIC);
}

// Posting. ---------------------------------------------------------------------------------------

void VerbsEndpoint::post_receives(std::uint32_t count) {
    if (count == 0)
        return;
    if (failed_)
        throw Error(Failure::run, "NIC verbs: posting receives on a broken connection", {}, {});
    if (count > limits().receive_queue - receives_)
        throw Error(Failure::run,
                    fmt::format("NIC verbs: posting {} receives beside {}: the queue has {}", count,
                                receives_, limits().receive_queue),
                    {}, {});
    while (count > 0) {
        const std::size_t length = std::min<std::size_t>(count, chain_length);
        for (std::size_t i = 0; i < length; ++i) {
            receive_requests_[i] = {};
            receive_requests_[i].wr_id = receive_tag;
            receive_requests_[i].next = i + 1 < length ? &receive_requests_[i + 1] : nullptr;
        }
        ibv_recv_wr* refused = nullptr;
        if (const int error = ibv_post_recv(queue_pair_.get(), receive_requests_.data(), &refused))
            throw_errno(error, "NIC verbs: ibv_post_recv");
        receives_ += static_cast<std::uint32_t>(length);
        count -= static_cast<std::uint32_t>(length);
    }
}

std::size_t VerbsEndpoint::do_post(std::span<const WriteRequest> requests) {
    const std::uint64_t room = limits().send_queue - (next_send_ - first_send_);
    requests = requests.first(std::min<std::size_t>(requests.size(), room));
    for (std::size_t done = 0; done < requests.size();)
        done += post_chain(requests.subspan(done, std::min(requests.size() - done, chain_length)));
    return requests.size();
}

std::size_t VerbsEndpoint::post_chain(std::span<const WriteRequest> requests) {
    for (std::size_t i = 0; i < requests.size(); ++i) {
        const WriteRequest& request = requests[i];
        const std::uint64_t number = next_send_ + i;
        sends_[number % sends_.size()] = {.wr_id = request.wr_id, .signaled = request.signaled};
        ibv_send_wr& work = requests_[i];
        work = {};
        work.wr_id = number;
        work.next = i + 1 < requests.size() ? &requests_[i + 1] : nullptr;
        work.opcode = request.immediate ? IBV_WR_RDMA_WRITE_WITH_IMM : IBV_WR_RDMA_WRITE;
        work.send_flags = request.signaled ? unsigned{IBV_SEND_SIGNALED} : 0u;
        if (request.immediate)
            work.imm_data = htonl(*request.immediate);
        if (request.length == 0)
            continue;
        pieces_[i] = {.addr = request.local->address() + request.local_offset,
                      .length = request.length,
                      .lkey = request.local->lkey()};
        work.sg_list = &pieces_[i];
        work.num_sge = 1;
        work.wr.rdma = {.remote_addr = request.remote_address, .rkey = request.rkey};
    }
    ibv_send_wr* refused = nullptr;
    if (const int error = ibv_post_send(queue_pair_.get(), requests_.data(), &refused)) {
        // Those before the refused one are under way, and take their places.
        next_send_ += refused ? static_cast<std::uint64_t>(refused - requests_.data()) : 0;
        throw_errno(error, "NIC verbs: ibv_post_send");
    }
    next_send_ += requests.size();
    return requests.size();
}

// Completions. -----------------------------------------------------------------------------------

void VerbsEndpoint::fetch() {
    if (hung_up_.exchange(false))
        hang_up();
    if (fetched_count_ > 0)
        return;
    first_fetched_ = 0;
    const int count =
        ibv_poll_cq(completions_.get(), static_cast<int>(fetched_.size()), fetched_.data());
    if (count < 0 || static_cast<std::size_t>(count) > fetched_.size())
        throw_errno(count < 0 ? -count : EPROTO, "NIC verbs: ibv_poll_cq");
    fetched_count_ = static_cast<std::size_t>(count);
}

std::size_t VerbsEndpoint::poll(std::span<Completion> completions) {
    std::size_t taken = 0;
    while (taken < completions.size()) {
        fetch();
        if (fetched_count_ == 0)
            break;
        completions[taken++] = checked(fetched_[first_fetched_++]);
        --fetched_count_;
    }
    return taken;
}

// Holds what the device says against what was posted: it is believed in nothing else.
Completion VerbsEndpoint::checked(const ibv_wc& work) {
    Completion completion{.status = status_of(work.status), .vendor_error = work.vendor_err};
    if (completion.status != WcStatus::success && !std::exchange(failed_, true))
        take_device_events(); // the reason behind it, if that is the whole device's
    if (completion.status == WcStatus::success)
        completion.vendor_error = 0;
    if (work.wr_id != receive_tag) {
        take_send(work, completion);
        return completion;
    }
    if (receives_ == 0)
        distrust("a receive completed that nobody has posted");
    --receives_;
    completion.opcode = WcOpcode::receive_with_immediate;
    if (completion.status != WcStatus::success)
        return completion;
    if (work.opcode != IBV_WC_RECV_RDMA_WITH_IMM || !(work.wc_flags & IBV_WC_WITH_IMM))
        distrust(fmt::format("the peer sent something else than a write with immediate (opcode {})",
                             static_cast<int>(work.opcode)));
    completion.byte_len = work.byte_len;
    completion.immediate = ntohl(work.imm_data);
    return completion;
}

void VerbsEndpoint::take_send(const ibv_wc& work, Completion& completion) {
    if (work.wr_id < first_send_ || work.wr_id >= next_send_)
        distrust(fmt::format("work completed that is not under way (wr_id {:#x})", work.wr_id));
    // It stands for all before it: of those none is signaled, or they would have come first.
    for (std::uint64_t number = first_send_; number < work.wr_id; ++number)
        if (sends_[number % sends_.size()].signaled)
            distrust(fmt::format("work completed out of order (wr_id {:#x})", work.wr_id));
    const Send& send = sends_[work.wr_id % sends_.size()];
    if (completion.status == WcStatus::success && !send.signaled)
        distrust("a completion that was not asked for");
    completion.opcode = WcOpcode::rdma_write;
    completion.wr_id = send.wr_id;
    first_send_ = work.wr_id + 1;
}

// Waiting. ---------------------------------------------------------------------------------------

// `at_least` is not heeded: who else may send something, the NIC does not know. cq-moderation is
// what devices have for that.
WaitResult VerbsEndpoint::wait(Nanoseconds timeout, std::uint32_t) {
    const Nanoseconds start = now();
    const Nanoseconds most = std::numeric_limits<Nanoseconds>::max() - start;
    const Nanoseconds deadline = start + std::clamp<Nanoseconds>(timeout, 0, most);
    while (true) {
        if (cancelled_.load())
            return WaitResult::cancelled;
        fetch();
        if (woken_.exchange(false) || fetched_count_ > 0)
            return WaitResult::ready;
        if (spin_) {
            if (now() >= deadline)
                return WaitResult::timed_out;
            ::sched_yield(); // the peer, or the kernel as NIC, may need this core
        } else if (!sleep(deadline)) {
            return WaitResult::timed_out;
        }
    }
}

// Until there may be something new; false when the deadline has passed without.
bool VerbsEndpoint::sleep(Nanoseconds deadline) {
    if (const int error = ibv_req_notify_cq(completions_.get(), 0))
        throw_errno(error, "NIC verbs: ibv_req_notify_cq");
    fetch(); // what came before that makes no event
    if (fetched_count_ > 0)
        return true;
    std::array<pollfd, 3> fds{
        {{.fd = channel_->fd, .events = POLLIN, .revents = 0},
         {.fd = bell_.get(), .events = POLLIN, .revents = 0},
         {.fd = device_.context()->async_fd, .events = POLLIN, .revents = 0}}};
    const timespec left = until(deadline);
    const int ready = ::ppoll(fds.data(), fds.size(), &left, nullptr);
    if (ready < 0 && errno != EINTR)
        throw_errno(errno, "NIC verbs: waiting for completions");
    if (ready <= 0)
        return ready < 0 || now() < deadline;
    if (fds[0].revents) {
        ibv_cq* queue = nullptr;
        void* context = nullptr;
        if (ibv_get_cq_event(channel_.get(), &queue, &context) == 0)
            ibv_ack_cq_events(queue, 1);
    }
    if (fds[1].revents) {
        std::uint64_t rings = 0;
        [[maybe_unused]] const ssize_t got = ::read(bell_.get(), &rings, sizeof rings);
    }
    if (fds[2].revents)
        take_device_events();
    return true;
}

// What befalls the device as a whole: other ends on it see it too, by their work that is flushed.
void VerbsEndpoint::take_device_events() {
    ibv_async_event event{};
    if (ibv_get_async_event(device_.context(), &event) != 0)
        return; // another end has taken it
    const ibv_event_type type = event.event_type;
    ibv_ack_async_event(&event);
    if (type == IBV_EVENT_DEVICE_FATAL || type == IBV_EVENT_PORT_ERR || type == IBV_EVENT_CQ_ERR)
        throw Error(Failure::run, fmt::format("NIC {}: it has failed", device_.name()),
                    ibv_event_type_str(type), "Look after its cable and into dmesg");
}

void VerbsEndpoint::ring_bell() noexcept {
    const std::uint64_t once = 1;
    // It can only be full of rings already.
    [[maybe_unused]] const ssize_t written = ::write(bell_.get(), &once, sizeof once);
}

void VerbsEndpoint::wake() {
    woken_.store(true);
    ring_bell();
}

void VerbsEndpoint::cancel() {
    cancelled_.store(true);
    ring_bell();
}

} // namespace clearframe::verbs
