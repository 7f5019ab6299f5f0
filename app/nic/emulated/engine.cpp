#include "nic/emulated/engine.h"

#include "core/error.h"
#include "core/thread.h"
#include "core/units.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <system_error>
#include <unistd.h>

#include <algorithm>
#include <chrono>

namespace clearframe {
namespace {

// Between two of these the engine looks up from a long write.
constexpr std::size_t chunk = 256 * KiB;
// For a peer in another process to answer, which takes it some microseconds if it runs.
constexpr std::chrono::seconds peer_time{1};

} // namespace

Engine::Engine(const EmulatedNicOptions& options)
    : options_(options),
      latency_(options.latency_ns),
      copy_(streaming_copy().copy),
      link_(options.gbits_per_s),
      bell_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!bell_)
        throw_errno(errno, "NIC emulated: eventfd", "Raise the limit of open files: ulimit -n");
    thread_ = start_thread(thread_name, [this] { run(); });
    pthread_getcpuclockid(thread_.native_handle(), &cpu_clock_);
}

Engine::~Engine() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    ring();
    thread_.join();
}

Engine::Memory Engine::register_memory(Mapping mapping, RemoteAccess access, UniqueFd fd) {
    const std::lock_guard lock(mutex_);
    return regions_.add(std::move(mapping), access, std::move(fd));
}

void Engine::deregister_memory(const DeviceMemory& memory) {
    std::unique_lock lock(mutex_);
    regions_.remove(memory);
    for (const auto& connection : connections_)
        if (connection->peer)
            connection->peer->revoke(memory.rkey);
    settled_.wait_for(lock, peer_time, [&] {
        return std::ranges::none_of(connections_, [&](const auto& connection) {
            return connection->peer && connection->peer->is_revoking(memory.rkey);
        });
    });
}

Engine::Memory Engine::find_local(std::uint32_t lkey) const {
    const std::lock_guard lock(mutex_);
    return regions_.find_local(lkey);
}

Engine::Memory Engine::find_remote(std::uint32_t rkey) const {
    const std::lock_guard lock(mutex_);
    return regions_.find_remote(rkey);
}

std::shared_ptr<Connection> Engine::connect(std::uint32_t depth) {
    const std::lock_guard lock(mutex_);
    auto connection = std::make_shared<Connection>();
    for (int i = 0; i < 2; ++i)
        connection->ends.emplace_back(depth, FaultSource(options_, ends_made_++));
    connections_.push_back(connection);
    return connection;
}

std::shared_ptr<Connection> Engine::connect(std::uint32_t depth, emulated::Acquaintance peer) {
    std::unique_lock lock(mutex_);
    auto connection = std::make_shared<Connection>();
    connection->ends.emplace_back(depth, FaultSource(options_, ends_made_++));
    const std::vector<std::uint32_t> told = peer.told;
    connection->peer =
        std::make_unique<emulated::Peer>(std::move(peer), connection->ends[0], depth);
    connections_.push_back(connection);
    // What has been deregistered since the peer was told of it.
    for (const std::uint32_t rkey : told)
        if (!regions_.find_remote(rkey))
            connection->peer->revoke(rkey);
    lock.unlock();
    ring(); // it has one more to listen to
    return connection;
}

std::vector<Engine::Memory> Engine::writable() const {
    const std::lock_guard lock(mutex_);
    return regions_.writable();
}

void Engine::close(Connection& connection, QueuePair& end) {
    std::unique_lock lock(mutex_);
    end.close();
    connection.ended = true;
    settled_.wait(lock, [&] { return current_ != &connection; });
    if (connection.peer)
        leave(lock, *connection.peer);
    else if (QueuePair& other = *connection.other(end); !other.is_closed())
        other.lose_peer(due_time());
    if (std::ranges::all_of(connection.ends, &QueuePair::is_closed))
        std::erase_if(connections_, [&](const auto& other) { return other.get() == &connection; });
    lock.unlock();
    ring(); // the other end has something to show
}

// Nothing of the connection moves here any more. Sees to it that nothing does on the other side.
void Engine::leave(std::unique_lock<std::mutex>& lock, emulated::Peer& peer) {
    {
        const emulated::PeerMemory unmapped = peer.take_memory();
        lock.unlock();
    }
    lock.lock();
    peer.hang_up();
    settled_.wait_for(lock, peer_time, [&] { return peer.is_gone() && !giving_up_; });
}

void Engine::wake(std::unique_lock<std::mutex>& lock) {
    const bool asleep = std::exchange(idle_, false);
    lock.unlock();
    if (asleep)
        ring();
}

void Engine::ring() {
    // It can only fail when it is full of rings already.
    [[maybe_unused]] const int rung = ::eventfd_write(bell_.get(), 1);
}

double Engine::plain_gbytes_per_s(std::span<const Memory> source, std::span<const Memory> target,
                                  Nanoseconds duration) {
    std::unique_lock lock(mutex_);
    settled_.wait(lock, [&] { return !plain_; });
    PlainRun plain{.source = source, .target = target, .duration = duration};
    plain_ = &plain;
    ring();
    settled_.wait(lock, [&] { return plain.done; });
    return plain.gbytes_per_s;
}

// ------------------------------------------------------------------------------------------------
// The thread.

void Engine::run() {
    ::prctl(PR_SET_TIMERSLACK, 1UL);
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        serve_peers();
        give_up_remains(lock);
        publish(false);
        if (plain_) {
            run_plain(lock);
        } else if (Transfer transfer; begin_transfer(transfer)) {
            // What takes no time comes before the waking: one waking for a frame and the message
            // that follows it.
            if (!transfer.read.empty()) {
                wake_waiters(lock);
                move_bytes(transfer);
                lock.lock();
            }
            finish_transfer(transfer);
        } else {
            publish(true);
            if (woken_.empty()) {
                sleep(lock);
            } else {
                wake_waiters(lock);
                lock.lock();
            }
        }
    }
}

bool Engine::begin_transfer(Transfer& transfer) {
    if (stalled_ || (link_.has_rate() && link_.free_at() > now()) || !take_work(transfer))
        return false;
    transfer.status = check(transfer);
    if (transfer.status == WcStatus::success && transfer.work.is_frame())
        strike(transfer);
    if (stalled_)
        return false;
    if (link_.has_rate())
        transfer.link_end =
            link_.occupy(transfer.status == WcStatus::success ? transfer.work.length : 0,
                         transfer.work.posted, now());
    current_ = transfer.connection;
    return true;
}

bool Engine::take_work(Transfer& transfer) {
    const std::size_t turns = 2 * connections_.size(); // two ends each, or one and none
    for (std::size_t turn = 0; turn < turns; ++turn) {
        const std::size_t index = (next_end_ + turn) % turns;
        Connection& connection = *connections_[index / 2];
        if (index % 2 >= connection.ends.size())
            continue;
        QueuePair& from = connection.ends[index % 2];
        if (!connection.may_send(from))
            continue;
        transfer.connection = &connection;
        transfer.from = &from;
        transfer.to = connection.other(from);
        transfer.work = from.take_send();
        next_end_ = index + 1;
        return true;
    }
    return false;
}

WcStatus Engine::check(Transfer& transfer) const {
    const Work& work = transfer.work;
    const emulated::Peer* const peer = transfer.connection->peer.get();
    if (transfer.from->is_broken() || (peer && peer->is_broken()))
        return WcStatus::flushed;
    if (transfer.connection->ended)
        return WcStatus::retry_exceeded;
    const std::byte* read = nullptr;
    if (work.length > 0) {
        transfer.source = regions_.find_local(work.lkey);
        if (transfer.source)
            read = transfer.source->find(work.local_address, work.length);
        if (!read)
            return WcStatus::local_protection_error;
        transfer.target = peer ? peer->find(work.rkey) : regions_.find_remote(work.rkey);
        if (!transfer.target || transfer.target->access != RemoteAccess::write)
            return WcStatus::remote_access_error;
        transfer.write = transfer.target->find(work.remote_address, work.length);
        if (!transfer.write)
            return WcStatus::remote_access_error;
    }
    if (work.immediate && transfer.to && !transfer.to->has_receive())
        return WcStatus::receiver_not_ready;
    transfer.read = {read, work.length};
    return WcStatus::success;
}

// Lets a fault of the options happen to this frame, if it is its turn.
void Engine::strike(Transfer& transfer) {
    transfer.fault = transfer.from->faults.next_frame();
    if (transfer.has(NicFault::torn))
        transfer.read = transfer.read.first(transfer.read.size() / 2);
    if (transfer.has(NicFault::drop) || transfer.has(NicFault::late))
        transfer.read = {};
    if (transfer.has(NicFault::error)) {
        transfer.status = WcStatus::remote_access_error;
        transfer.read = {};
    }
    stalled_ = transfer.has(NicFault::stall);
}

void Engine::move_bytes(const Transfer& transfer) {
    const std::size_t bytes = transfer.read.size();
    for (std::size_t done = 0; done < bytes && !transfer.connection->ended; done += chunk) {
        if (done > 0 && (has_peers_ || now() >= next_event_)) {
            std::unique_lock lock(mutex_);
            serve_peers();
            publish(false);
            wake_waiters(lock);
        }
        copy_(transfer.write + done, transfer.read.data() + done, std::min(chunk, bytes - done));
    }
    if (transfer.has(NicFault::corrupt) && bytes > 0)
        transfer.write[transfer.fault->random % bytes] ^= std::byte{0x40};
}

void Engine::finish_transfer(Transfer& transfer) {
    const Work& work = transfer.work;
    const Nanoseconds due = std::max(transfer.link_end, now()) + latency_;
    if (transfer.status == WcStatus::success && transfer.connection->ended)
        transfer.status = WcStatus::retry_exceeded;
    std::optional<emulated::Arrival> arrival;
    if (transfer.status == WcStatus::success && work.immediate && !transfer.has(NicFault::drop)) {
        // Never 0: it is what the right value is changed by.
        const std::uint32_t error =
            transfer.fault ? static_cast<std::uint32_t>(transfer.fault->random) | 1 : 0;
        arrival = {transfer.has(NicFault::wrong_length) ? work.length ^ error : work.length,
                   transfer.has(NicFault::wrong_immediate) ? *work.immediate ^ error
                                                           : *work.immediate};
    }
    if (emulated::Peer* const peer = transfer.connection->peer.get()) {
        peer->finish(work, transfer.status, due, arrival);
        transfer.target.reset(); // who closes the connection unmaps it
    } else {
        if (arrival)
            transfer.to->complete_receive(arrival->byte_len, arrival->immediate, due);
        transfer.from->complete_send(work, transfer.status, due);
        if (transfer.status != WcStatus::success)
            for (QueuePair& end : transfer.connection->ends)
                end.break_down(due);
    }
    current_ = nullptr;
    if (transfer.connection->ended)
        settled_.notify_all();
}

// Takes what peers in other processes have said.
void Engine::serve_peers() {
    has_peers_ = false;
    bool settled = false;
    for (const auto& connection : connections_) {
        emulated::Peer* const peer = connection->peer.get();
        if (!peer || peer->is_gone())
            continue;
        has_peers_ = true;
        settled |= peer->serve(stalled_, due_time());
        if (peer->is_gone())
            connection->ended = true;
    }
    if (settled)
        settled_.notify_all();
}

// Unmaps what is not to be written any more, and lets the peers know. Nothing moves now.
void Engine::give_up_remains(std::unique_lock<std::mutex>& lock) {
    for (const auto& connection : connections_)
        if (connection->peer)
            if (auto remains = connection->peer->take_remains())
                remains_.push_back(std::move(*remains));
    if (remains_.empty())
        return;
    giving_up_ = true;
    lock.unlock();
    remains_.clear();
    lock.lock();
    giving_up_ = false;
    settled_.notify_all();
}

void Engine::run_plain(std::unique_lock<std::mutex>& lock) {
    PlainRun& plain = *plain_;
    wake_waiters(lock);
    const Nanoseconds start = now();
    std::uint64_t bytes = 0;
    Nanoseconds time = 0;
    for (std::size_t i = 0; time < plain.duration || i == 0; ++i) {
        const std::span<std::byte> source = plain.source[i % plain.source.size()]->mapping.bytes();
        const std::span<std::byte> target = plain.target[i % plain.target.size()]->mapping.bytes();
        const std::size_t size = std::min(source.size(), target.size());
        copy_(target.data(), source.data(), size);
        bytes += size;
        time = now() - start;
    }
    lock.lock();
    plain.gbytes_per_s = static_cast<double>(bytes) / static_cast<double>(time);
    plain.done = true;
    plain_ = nullptr;
    settled_.notify_all();
}

// Shows all completions that are due, and finds out whom to wake.
void Engine::publish(bool quiet) {
    woken_.reserve(2 * connections_.size());
    const Nanoseconds time = now();
    next_event_ = QueuePair::never;
    for (const auto& connection : connections_)
        for (QueuePair& end : connection->ends) {
            if (end.publish(time, quiet))
                woken_.emplace_back(connection, &end);
            next_event_ = std::min(next_event_, end.next_event());
        }
}

// Gives up the lock first: who is woken wants it.
void Engine::wake_waiters(std::unique_lock<std::mutex>& lock) {
    lock.unlock();
    for (const auto& end : woken_)
        end->arrived.notify_one();
    woken_.clear();
}

void Engine::sleep(std::unique_lock<std::mutex>& lock) {
    const auto has_work = [](const auto& connection) {
        return std::ranges::any_of(connection->ends,
                                   [&](const QueuePair& end) { return connection->may_send(end); });
    };
    // Work that is there and not begun waits for the link: more of it is no reason to wake up.
    idle_ = stalled_ || std::none_of(connections_.begin(), connections_.end(), has_work);
    const Nanoseconds until = idle_ ? next_event_ : std::min(next_event_, link_.free_at());
    polled_.clear();
    polled_.push_back({bell_.get(), POLLIN, 0});
    for (const auto& connection : connections_)
        if (connection->peer && !connection->peer->is_gone())
            polled_.push_back({connection->peer->fd(), POLLIN, 0});
    lock.unlock();
    const timespec timeout = time_until(until);
    ::ppoll(polled_.data(), polled_.size(), until == QueuePair::never ? nullptr : &timeout,
            nullptr);
    std::uint64_t rings = 0;
    if (polled_[0].revents != 0) [[maybe_unused]]
        const ssize_t got = ::read(bell_.get(), &rings, sizeof(rings));
    lock.lock();
    idle_ = false;
}

} // namespace clearframe
