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
#include <cstring>
#include <limits>
#include <mutex>
#include <utility>

namespace clearframe::verbs {
namespace {

constexpr std::size_t chain_length = 64;                      // requests handed over at once
constexpr std::uint64_t receive_tag = std::uint64_t{1} << 63; // in a receive's wr_id

constexpr std::uint32_t spins_between_looks = 1024; // at the connection, for wait=poll

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

// What a device has written where libibverbs has an enumeration: it may be none of its values,
// which must not be read as one.
template <typename Enumeration>
std::uint32_t number_in(const Enumeration& field) {
    std::uint32_t number = 0;
    static_assert(sizeof number == sizeof field);
    std::memcpy(&number, &field, sizeof number);
    return number;
}

bool succeeded(const ibv_wc& work) { return number_in(work.status) == IBV_WC_SUCCESS; }

// Those of enum ibv_wc_status that Completion knows have the same values.
WcStatus status_of(const ibv_wc& work) {
    const std::uint32_t status = number_in(work.status);
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

} // namespace

VerbsEndpoint::VerbsEndpoint(const Device& device, const Port& port, const VerbsOptions& options,
                             std::uint32_t depth)
    : Endpoint({.send_queue = depth, .receive_queue = depth, .max_message = port.max_message}),
      device_(device),
      port_(port),
      spin_(options.spin),
      bell_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      lanes_(options.queue_pairs),
      sends_(depth),
      receives_(depth),
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
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
        lanes_[i].queue_pair = device.make_queue_pair(completions_.get(), depth);
        lanes_[i].next_receive = i;
    }
}

struct VerbsEndpoint::Tie {
    std::mutex mutex;
    std::array<VerbsEndpoint*, 2> ends{}; // those that are still there
};

// When the queue pairs are destroyed, nothing of them moves any more. Only then is the peer told.
// They are not set to RESET first: with soft-RoCE (7.3) a packet that comes at that moment keeps a
// reference, for which destroying the queue pair waits 50 s.
VerbsEndpoint::~VerbsEndpoint() {
    for (Lane& lane : lanes_)
        lane.queue_pair.reset();
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
    for (const Lane& lane : lanes_)
        modify(lane.queue_pair.get(), attributes, IBV_QP_STATE);
}

void VerbsEndpoint::watch_connection() {
    if (connection_ && connection_->peer_has_left())
        hang_up();
}

// Connecting. ------------------------------------------------------------------------------------

// What does not depend on how the peer is reached is the same for all.
void VerbsEndpoint::bring_up(Lane& lane, ibv_qp_attr init, int init_mask, ibv_qp_attr receive,
                             int receive_mask, ibv_qp_attr send, int send_mask) const {
    init.qp_state = IBV_QPS_INIT;
    init.qp_access_flags = IBV_ACCESS_REMOTE_WRITE;
    modify(lane.queue_pair.get(), init, init_mask | IBV_QP_STATE | IBV_QP_ACCESS_FLAGS);

    receive.qp_state = IBV_QPS_RTR;
    receive.max_dest_rd_atomic = 1;
    receive.min_rnr_timer = receiver_not_ready_timer;
    modify(lane.queue_pair.get(), receive,
           receive_mask | IBV_QP_STATE | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);

    send.qp_state = IBV_QPS_RTS;
    send.timeout = ack_timeout;
    send.retry_cnt = retries;
    send.rnr_retry = receiver_not_ready_retries;
    send.max_rd_atomic = 1;
    modify(lane.queue_pair.get(), send,
           send_mask | IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
               IBV_QP_MAX_QP_RD_ATOMIC);
}

void VerbsEndpoint::connect_lane(Lane& lane, std::uint32_t peer, const Port& port) {
    ibv_qp_attr init{};
    init.port_num = port_.number;
    ibv_qp_attr receive{};
    receive.path_mtu = std::min(port_.mtu, port.mtu);
    receive.dest_qp_num = peer;
    receive.ah_attr.port_num = port_.number;
    receive.ah_attr.dlid = port.lid;
    if (port.ethernet) {
        receive.ah_attr.is_global = 1;
        receive.ah_attr.grh.dgid = port.gid;
        receive.ah_attr.grh.sgid_index = port_.gid_index;
        receive.ah_attr.grh.hop_limit = 64;
    }
    bring_up(lane, init, IBV_QP_PKEY_INDEX | IBV_QP_PORT, receive,
             IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN, {}, IBV_QP_SQ_PSN);
}

void VerbsEndpoint::connect(VerbsEndpoint& one, VerbsEndpoint& other) {
    for (std::size_t i = 0; i < one.lanes_.size(); ++i) {
        one.connect_lane(one.lanes_[i], other.number(i), other.port_);
        other.connect_lane(other.lanes_[i], one.number(i), one.port_);
    }
    const auto tie = std::make_shared<Tie>();
    tie->ends = {&one, &other};
    one.tie_ = other.tie_ = tie;
}

// librdmacm knows of the first queue pair; the others go the same way, with the same first packet
// sequence number, to those that the peer has named.
void VerbsEndpoint::connect(const Connection& connection, const Greeting& peer) {
    int init_mask = 0, receive_mask = 0, send_mask = 0;
    const ibv_qp_attr init = connection.attributes(IBV_QPS_INIT, init_mask);
    ibv_qp_attr receive = connection.attributes(IBV_QPS_RTR, receive_mask);
    const ibv_qp_attr send = connection.attributes(IBV_QPS_RTS, send_mask);
    const std::uint8_t gid_index = receive.ah_attr.grh.sgid_index;
    if (port_.gid_was_asked_for && gid_index != port_.gid_index)
        throw Error(Failure::unavailable,
                    fmt::format("NIC {}: connecting from gid={}", device_.name(), port_.gid_index),
                    fmt::format("the kernel takes GID {} for this address", gid_index),
                    "It takes RoCE v2 before v1: name that one, or none");
    receive.path_mtu = std::min({receive.path_mtu, port_.mtu, static_cast<ibv_mtu>(peer.mtu)});
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
        receive.dest_qp_num = peer.numbers[i];
        bring_up(lanes_[i], init, init_mask, receive, receive_mask, send, send_mask);
    }
}

// Posting. ---------------------------------------------------------------------------------------

void VerbsEndpoint::post_receives(std::uint32_t count) {
    if (count == 0)
        return;
    if (failed_)
        throw Error(Failure::run, "NIC verbs: posting receives on a broken connection", {}, {});
    const std::uint64_t posted = next_receive_ - first_receive_;
    if (count > limits().receive_queue - posted)
        throw Error(Failure::run,
                    fmt::format("NIC verbs: posting {} receives beside {}: the queue has {}", count,
                                posted, limits().receive_queue),
                    {}, {});
    // Number n is lane n % lanes'.
    const std::uint64_t lanes = lanes_.size();
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(lanes, count); ++i)
        post_receives_on(lanes_[(next_receive_ + i) % lanes], (count - i + lanes - 1) / lanes);
    for (std::uint32_t i = 0; i < count; ++i)
        receive(next_receive_ + i).done = false;
    next_receive_ += count;
}

void VerbsEndpoint::post_receives_on(Lane& lane, std::uint64_t count) {
    while (count > 0) {
        const std::size_t length = std::min<std::uint64_t>(count, chain_length);
        for (std::size_t i = 0; i < length; ++i) {
            receive_requests_[i] = {};
            receive_requests_[i].wr_id = receive_tag;
            receive_requests_[i].next = i + 1 < length ? &receive_requests_[i + 1] : nullptr;
        }
        ibv_recv_wr* refused = nullptr;
        if (const int error =
                ibv_post_recv(lane.queue_pair.get(), receive_requests_.data(), &refused))
            throw_errno(error, "NIC verbs: ibv_post_recv");
        count -= length;
    }
}

std::size_t VerbsEndpoint::do_post(std::span<const WriteRequest> requests) {
    const std::uint64_t room = limits().send_queue - (next_send_ - first_send_);
    requests = requests.first(std::min<std::size_t>(requests.size(), room));
    for (std::size_t done = 0; done < requests.size();)
        done += post_chain(requests.subspan(done, std::min(requests.size() - done, chain_length)));
    return requests.size();
}

// Of several queue pairs one takes what belongs together.
std::size_t VerbsEndpoint::post_chain(std::span<const WriteRequest> requests) {
    const bool several = lanes_.size() > 1;
    std::uint32_t& lane = requests.front().spread ? spread_lane_ : lane_;
    std::size_t length = 0;
    bool ended = false;
    for (; length < requests.size() && !(several && ended); ++length) {
        const WriteRequest& request = requests[length];
        if (request.spread != requests.front().spread)
            break;
        const std::uint64_t number = next_send_ + length;
        ended = request.immediate.has_value() || request.spread;
        // Each lane has to tell how far it is: nobody asks the one in particular.
        const bool told = request.signaled || (several && ended);
        Work& place = send(number);
        place.wr_id = request.wr_id;
        place.lane = lane;
        place.signaled = request.signaled;
        place.told = told;
        place.done = false;
        ibv_send_wr& work = requests_[length];
        work = {};
        work.wr_id = number;
        if (length > 0)
            requests_[length - 1].next = &work;
        work.opcode = request.immediate ? IBV_WR_RDMA_WRITE_WITH_IMM : IBV_WR_RDMA_WRITE;
        work.send_flags = told ? unsigned{IBV_SEND_SIGNALED} : 0u;
        if (request.immediate)
            work.imm_data = htonl(*request.immediate);
        if (request.length == 0)
            continue;
        pieces_[length] = {.addr = request.local->address() + request.local_offset,
                           .length = request.length,
                           .lkey = request.local->lkey()};
        work.sg_list = &pieces_[length];
        work.num_sge = 1;
        work.wr.rdma = {.remote_addr = request.remote_address, .rkey = request.rkey};
    }
    ibv_send_wr* refused = nullptr;
    if (const int error =
            ibv_post_send(lanes_[lane].queue_pair.get(), requests_.data(), &refused)) {
        // Those before the refused one are under way, and take their places.
        next_send_ += refused ? static_cast<std::uint64_t>(refused - requests_.data()) : 0;
        throw_errno(error, "NIC verbs: ibv_post_send");
    }
    next_send_ += length;
    if (several && ended)
        lane = (lane + 1) % static_cast<std::uint32_t>(lanes_.size());
    return length;
}

// Completions. -----------------------------------------------------------------------------------

std::size_t VerbsEndpoint::fetch() {
    if (hung_up_.exchange(false))
        hang_up();
    const int count =
        ibv_poll_cq(completions_.get(), static_cast<int>(fetched_.size()), fetched_.data());
    if (count < 0 || static_cast<std::size_t>(count) > fetched_.size())
        throw_errno(count < 0 ? -count : EPROTO, "NIC verbs: ibv_poll_cq");
    for (const ibv_wc& work : std::span(fetched_).first(static_cast<std::size_t>(count)))
        take(work);
    return static_cast<std::size_t>(count);
}

// Whether a completion can be handed out.
bool VerbsEndpoint::ready() {
    while (first_send_ < next_send_ && send(first_send_).done && send(first_send_).silent &&
           !sends_broken_)
        ++first_send_;
    return (first_send_ < next_send_ && send(first_send_).done) ||
           (first_receive_ < next_receive_ && receive(first_receive_).done);
}

std::size_t VerbsEndpoint::poll(std::span<Completion> completions) {
    std::size_t taken = 0;
    while (taken < completions.size()) {
        if (!ready()) {
            if (fetch() == 0)
                break;
        } else if (first_send_ < next_send_ && send(first_send_).done) {
            completions[taken++] = hand_out(send(first_send_++), sends_broken_);
        } else {
            completions[taken++] = hand_out(receive(first_receive_++), receives_broken_);
        }
    }
    return taken;
}

// After one that failed all is flushed, whatever another queue pair has made of it by then.
Completion VerbsEndpoint::hand_out(Work& work, bool& broken) {
    work.done = false;
    Completion completion = work.completion;
    if (broken)
        completion.status = WcStatus::flushed;
    broken = broken || completion.status != WcStatus::success;
    return completion;
}

std::uint32_t VerbsEndpoint::lane_of(const ibv_wc& work) const {
    for (std::uint32_t lane = 0; lane < lanes_.size(); ++lane)
        if (lanes_[lane].queue_pair->qp_num == work.qp_num)
            return lane;
    distrust(fmt::format("work completed on a queue pair of somebody else ({:#x})", work.qp_num));
}

// Holds what the device says against what was posted: it is believed in nothing else.
void VerbsEndpoint::take(const ibv_wc& work) {
    if (!succeeded(work) && !std::exchange(failed_, true)) {
        take_device_events(); // the reason behind it, if that is the whole device's
        if (lanes_.size() > 1)
            hang_up(); // the others do not know
    }
    if (work.wr_id == receive_tag)
        take_receive(work, lane_of(work));
    else
        take_send(work, lane_of(work));
}

void VerbsEndpoint::take_receive(const ibv_wc& work, std::uint32_t lane) {
    const std::uint64_t number = lanes_[lane].next_receive;
    if (number >= next_receive_)
        distrust("a receive completed that nobody has posted");
    lanes_[lane].next_receive += lanes_.size();
    Work& place = receive(number);
    place.done = true;
    place.completion = {.status = status_of(work),
                        .opcode = WcOpcode::receive_with_immediate,
                        .vendor_error = work.vendor_err};
    if (!succeeded(work))
        return;
    const std::uint32_t opcode = number_in(work.opcode);
    if (opcode != IBV_WC_RECV_RDMA_WITH_IMM || !(work.wc_flags & IBV_WC_WITH_IMM))
        distrust(fmt::format("the peer sent something else than a write with immediate (opcode {})",
                             opcode));
    place.completion.vendor_error = 0;
    place.completion.byte_len = work.byte_len;
    place.completion.immediate = ntohl(work.imm_data);
}

void VerbsEndpoint::take_send(const ibv_wc& work, std::uint32_t lane) {
    const std::uint64_t number = work.wr_id;
    const std::uint64_t first = std::max(lanes_[lane].sends_done, first_send_);
    if (number < first || number >= next_send_ || send(number).lane != lane)
        distrust(fmt::format("work completed that is not under way (wr_id {:#x})", number));
    // It stands for all before it on its lane: of those none is signaled, or they would have come
    // first.
    for (std::uint64_t before = first; before < number; ++before) {
        Work& place = send(before);
        if (place.lane != lane)
            continue;
        if (place.told)
            distrust(fmt::format("work completed out of order (wr_id {:#x})", number));
        place.done = place.silent = true;
    }
    Work& place = send(number);
    const bool failed = !succeeded(work);
    if (!failed && !place.told)
        distrust("a completion that was not asked for");
    place.done = true;
    place.silent = !failed && !place.signaled;
    place.completion = {.wr_id = place.wr_id,
                        .status = status_of(work),
                        .opcode = WcOpcode::rdma_write,
                        .vendor_error = failed ? work.vendor_err : 0};
    lanes_[lane].sends_done = number + 1;
}

// Waiting. ---------------------------------------------------------------------------------------

// `at_least` is not heeded: who else may send something, the NIC does not know. cq-moderation is
// what devices have for that.
WaitResult VerbsEndpoint::wait(Nanoseconds timeout, std::uint32_t) {
    const Nanoseconds start = now();
    const Nanoseconds most = std::numeric_limits<Nanoseconds>::max() - start;
    const Nanoseconds deadline = start + std::clamp<Nanoseconds>(timeout, 0, most);
    for (std::uint32_t spins = 0;; ++spins) {
        if (cancelled_.load())
            return WaitResult::cancelled;
        if (!ready())
            fetch();
        if (woken_.exchange(false) || ready())
            return WaitResult::ready;
        if (spin_) {
            if (now() >= deadline)
                return WaitResult::timed_out;
            if (spins % spins_between_looks == 0)
                watch_connection();
            ::sched_yield(); // the peer, or the kernel as NIC, may need this core
        } else if (!sleep(deadline)) {
            return WaitResult::timed_out;
        }
    }
}

// Until there may be something new; false when the deadline has passed without.
bool VerbsEndpoint::sleep(Nanoseconds deadline) {
    if (const int error = ibv_req_notify_cq(completions_.get(), 0)) {
        watch_connection(); // it may know why
        throw_errno(error, fmt::format("NIC {}: ibv_req_notify_cq", device_.name()),
                    error == EIO ? "The device has gone: look into dmesg" : "");
    }
    while (fetch() > 0) // what came before that makes no event
        if (ready())
            return true;
    std::array<pollfd, 4> fds{
        {{.fd = channel_->fd, .events = POLLIN, .revents = 0},
         {.fd = bell_.get(), .events = POLLIN, .revents = 0},
         {.fd = device_.context()->async_fd, .events = POLLIN, .revents = 0},
         {.fd = connection_ ? connection_->fd() : -1, .events = POLLIN, .revents = 0}}};
    const timespec left = time_until(deadline);
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
    if (fds[3].revents)
        watch_connection();
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
