#include "nic/emulated/peer.h"

#include <errno.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <utility>

namespace clearframe::emulated {
namespace {

// Taken at once, before others have their turn.
constexpr int share = 2 * most_unconfirmed;

} // namespace

Peer::Peer(Acquaintance acquaintance, QueuePair& end, std::uint32_t depth)
    : socket_(std::move(acquaintance.socket)),
      memory_(std::move(acquaintance.memory)),
      told_(acquaintance.told.begin(), acquaintance.told.end()),
      end_(end),
      sent_(depth) {}

bool Peer::serve(bool stalled, Nanoseconds due) {
    if (gone_)
        return false;
    const std::size_t revoking = revoking_.size();
    for (int i = 0; i < share && !gone_ && !unreachable_; ++i) {
        // Larger than any note; the kernel drops descriptors that nobody takes.
        std::array<std::byte, 2 * sizeof(Note)> bytes;
        const ssize_t got = ::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            break;
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            lose(WcStatus::retry_exceeded, due);
            break;
        }
        const auto note = decode_note(std::span(bytes).first(static_cast<std::size_t>(got)));
        if (!note || !take(*note, stalled, due))
            lose(WcStatus::remote_operation_error, due);
    }
    confirm();
    if (unreachable_ && !gone_)
        lose(WcStatus::retry_exceeded, due);
    return gone_ || revoking_.size() < revoking;
}

// False for what no peer says.
bool Peer::take(const Note& note, bool stalled, Nanoseconds due) {
    switch (note.kind) {
    case NoteKind::revoke:
        if (Memory memory = memory_.take(note.value)) {
            revoked_.push_back(std::move(memory));
            tell({.kind = NoteKind::revoked, .value = note.value});
            return true;
        }
        return end_.is_closed(); // then all has been unmapped
    case NoteKind::revoked:
        return revoking_.erase(note.value) == 1 || hung_up_;
    default:
        break;
    }
    // What the peer said before it knew: less than two windows of it, or it never stops.
    if (stalled || end_.is_closed() || (broken_ && unconfirmed_ == 0))
        return ++ignored_ <= 2 * most_unconfirmed;
    switch (note.kind) {
    case NoteKind::arrived:
        return take_arrival(note, due);
    case NoteKind::confirmed:
        if (note.value == 0 || note.value > unconfirmed_)
            return false;
        confirmations_ = note.value;
        settle();
        return true;
    case NoteKind::not_ready:
        if (unconfirmed_ == 0)
            return false;
        fail(WcStatus::receiver_not_ready, due);
        return true;
    default: // broken
        fail(WcStatus::flushed, due);
        return true;
    }
}

bool Peer::take_arrival(const Note& note, Nanoseconds due) {
    if (broken_ || end_.is_broken())
        return ++ignored_ <= 2 * most_unconfirmed;
    if (end_.has_receive()) {
        end_.complete_receive(note.value, note.immediate, std::max(note.due, now()));
        ++to_confirm_;
        return true;
    }
    confirm();
    tell({.kind = NoteKind::not_ready});
    fail(WcStatus::flushed, due);
    return true;
}

// A peer that has not taken what was sent before, though that is bounded, does not run.
void Peer::tell(const Note& note) {
    if (gone_ || hung_up_ || unreachable_)
        return;
    ssize_t sent = -1;
    do
        sent = ::send(socket_.get(), &note, sizeof(note), MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    unreachable_ = sent != sizeof(note);
}

void Peer::confirm() {
    if (const std::uint32_t count = std::exchange(to_confirm_, 0))
        tell({.kind = NoteKind::confirmed, .value = count});
}

void Peer::finish(const Work& work, WcStatus status, Nanoseconds due,
                  const std::optional<Arrival>& arrival) {
    if (broken_)
        status = WcStatus::flushed;
    const bool awaits = status == WcStatus::success && arrival;
    if (awaits) {
        ++unconfirmed_;
        tell({.kind = NoteKind::arrived,
              .value = arrival->byte_len,
              .immediate = arrival->immediate,
              .due = due});
    }
    if (status != WcStatus::success && !broken_) {
        broken_ = true;
        tell({.kind = NoteKind::broken});
    }
    sent_.push({work, status, due, awaits});
    settle();
}

// Completes what waits for nothing any more.
void Peer::settle() {
    while (!sent_.empty()) {
        if (sent_.front().awaits) {
            if (confirmations_ == 0)
                return;
            --confirmations_;
            --unconfirmed_;
        }
        const Sent sent = sent_.pop();
        const Nanoseconds due = std::max(sent.due, now());
        end_.complete_send(sent.work, sent.status, due);
        if (sent.status != WcStatus::success && !end_.is_broken())
            end_.break_down(due);
    }
}

void Peer::fail(WcStatus first, Nanoseconds due) {
    broken_ = true;
    while (!sent_.empty())
        end_.complete_send(sent_.pop().work, std::exchange(first, WcStatus::flushed), due);
    unconfirmed_ = confirmations_ = 0;
    if (!end_.is_broken())
        end_.break_down(due);
}

void Peer::lose(WcStatus status, Nanoseconds due) {
    gone_ = true;
    revoking_.clear();
    if (sent_.empty())
        end_.lose_peer(due);
    else
        fail(status, due);
}

void Peer::revoke(std::uint32_t rkey) {
    if (told_.erase(rkey) == 0)
        return;
    tell({.kind = NoteKind::revoke, .value = rkey});
    if (!gone_ && !hung_up_ && !unreachable_)
        revoking_.insert(rkey);
}

PeerMemory Peer::take_memory() { return std::exchange(memory_, {}); }

void Peer::hang_up() {
    hung_up_ = true;
    revoking_.clear();
    if (socket_)
        ::shutdown(socket_.get(), SHUT_WR);
}

std::optional<Peer::Remains> Peer::take_remains() {
    if (!revoked_.empty() || (gone_ && (socket_ || !memory_.empty()))) {
        Remains remains;
        remains.revoked = std::exchange(revoked_, {});
        if (gone_) {
            remains.memory = take_memory();
            remains.socket = std::move(socket_);
        }
        return remains;
    }
    return std::nullopt;
}

} // namespace clearframe::emulated
