#include "nic/emulated/handshake.h"

#include "core/error.h"

#include <fmt/format.h>

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace clearframe::emulated {
namespace {

constexpr std::size_t most_strangers = 8;           // that may be silent at a time
constexpr Nanoseconds longest_silence = one_second; // of each

template <typename T>
std::span<const std::byte> bytes_of(const T& message) {
    return std::as_bytes(std::span(&message, 1));
}

std::vector<std::uint32_t> keys_of(Memories own) {
    if (own.size() > most_regions)
        throw Error(Failure::run,
                    fmt::format("NIC emulated: letting a peer write {} regions", own.size()), {},
                    fmt::format("It can write {} at most", most_regions));
    std::vector<std::uint32_t> keys;
    for (const auto& memory : own)
        keys.push_back(memory->rkey);
    return keys;
}

void send_regions(int socket, Memories own, const Deadline& deadline) {
    while (!own.empty()) {
        const Memories some = own.first(std::min<std::size_t>(own.size(), regions_in_message));
        std::vector<RegionRecord> records;
        std::vector<int> fds;
        for (const auto& memory : some) {
            records.push_back({memory->address, memory->mapping.bytes().size(), memory->rkey, 0});
            fds.push_back(memory->fd.get());
        }
        send_packet(socket, encode_regions(records), fds, deadline);
        own = own.subspan(some.size());
    }
}

PeerMemory receive_regions(int socket, std::uint32_t count, const Deadline& deadline) {
    if (count > most_regions)
        throw Error(Failure::run,
                    fmt::format("NIC emulated: {}: the peer has {} regions of memory, over {}",
                                deadline.what(), count, most_regions),
                    {}, {});
    PeerMemory memory;
    while (count > 0) {
        const Packet packet = wait_for_packet(socket, deadline);
        const auto records = decode_regions(packet.bytes);
        if (!packet.whole || !records || records->size() > count ||
            records->size() != packet.fds.size())
            throw Error(Failure::run,
                        fmt::format("NIC emulated: {}: {}", deadline.what(),
                                    packet.bytes.empty() ? "the peer has gone"
                                                         : "the peer's memory makes no sense"),
                        {}, {});
        for (std::size_t i = 0; i < records->size(); ++i)
            memory.add((*records)[i], packet.fds[i].get());
        count -= static_cast<std::uint32_t>(records->size());
    }
    return memory;
}

// Someone who has connected and said nothing yet.
struct Stranger {
    UniqueFd socket;
    Nanoseconds until = 0;
};

enum class Manners { silent, gone, welcome };

Manners listen_to(const Stranger& stranger, const ConnectionKey& key, std::uint32_t& regions) {
    const auto packet = receive_packet(stranger.socket.get());
    if (!packet)
        return now() < stranger.until ? Manners::silent : Manners::gone;
    const auto hello = decode_hello(packet->bytes);
    if (!hello || !packet->whole || !packet->fds.empty())
        return Manners::gone;
    Answer refusal;
    if (hello->version != protocol_version)
        refusal.verdict = Verdict::other_version;
    else if (!same_key(hello->key, key))
        refusal.verdict = Verdict::wrong_key;
    else {
        regions = hello->regions;
        return Manners::welcome;
    }
    // Whether or not it still listens: it gets no second chance.
    [[maybe_unused]] const ssize_t sent =
        ::send(stranger.socket.get(), &refusal, sizeof(refusal), MSG_DONTWAIT | MSG_NOSIGNAL);
    return Manners::gone;
}

// Waits for the one who shows the key.
UniqueFd find_peer(int listener, const ConnectionKey& key, std::uint32_t& regions,
                   const Deadline& deadline) {
    std::vector<Stranger> strangers; // oldest first
    for (;;) {
        for (auto stranger = strangers.begin(); stranger != strangers.end();) {
            const Manners manners = listen_to(*stranger, key, regions);
            if (manners == Manners::welcome)
                return std::move(stranger->socket);
            stranger = manners == Manners::gone ? strangers.erase(stranger) : stranger + 1;
        }
        if (UniqueFd socket = accept_socket(listener)) {
            if (strangers.size() == most_strangers)
                strangers.erase(strangers.begin());
            strangers.push_back({std::move(socket), now() + longest_silence});
            deadline.check();
            continue;
        }
        std::vector<pollfd> fds{{listener, POLLIN, 0}};
        Nanoseconds until = std::numeric_limits<Nanoseconds>::max();
        for (const Stranger& stranger : strangers) {
            fds.push_back({stranger.socket.get(), POLLIN, 0});
            until = std::min(until, stranger.until);
        }
        deadline.wait(fds, until);
    }
}

Answer wait_for_answer(int socket, Verdict wanted, const Deadline& deadline) {
    const Packet packet = wait_for_packet(socket, deadline);
    const auto answer = decode_answer(packet.bytes);
    const auto fail = [&](std::string_view why, std::string_view advice) {
        throw Error(Failure::run, fmt::format("NIC emulated: {}: {}", deadline.what(), why), {},
                    advice);
    };
    if (packet.bytes.empty())
        fail("turned away", "Somebody listens there, but not for this");
    if (!answer || !packet.whole || !packet.fds.empty())
        fail("who listens there is no emulated NIC", "");
    if (answer->version != protocol_version)
        fail(fmt::format("the peer's version is {}, ours {}", answer->version, protocol_version),
             "Run the same clearframe on both sides");
    if (answer->verdict == Verdict::wrong_key)
        fail("turned away", "It is another peer that is waited for there");
    if (answer->verdict != wanted)
        fail("the peer's answer makes no sense", "");
    return *answer;
}

} // namespace

Acquaintance accept_peer(int listener, const ConnectionKey& key, Memories own,
                         const Patience& patience) {
    const Deadline deadline(patience, "waiting for the peer");
    Acquaintance peer;
    peer.told = keys_of(own);
    std::uint32_t regions = 0;
    peer.socket = find_peer(listener, key, regions, deadline);
    const int socket = peer.socket.get();
    const Answer answer{.regions = static_cast<std::uint32_t>(own.size())};
    send_packet(socket, bytes_of(answer), {}, deadline);
    // One side after the other, so that neither waits for room in the other's buffer.
    send_regions(socket, own, deadline);
    peer.memory = receive_regions(socket, regions, deadline);
    send_packet(socket, bytes_of(Answer{.verdict = Verdict::ready}), {}, deadline);
    return peer;
}

Acquaintance connect_to_peer(std::string_view address, const ConnectionKey& key, Memories own,
                             const Patience& patience) {
    if (!is_address(address))
        throw Error(
            Failure::run,
            fmt::format("NIC emulated: connecting to {}: no emulated NIC's address", address), {},
            "Both sides need the same kind of NIC");
    const Deadline deadline(patience, fmt::format("connecting to {}", address));
    Acquaintance peer;
    peer.told = keys_of(own);
    peer.socket = connect_socket(address, deadline);
    const int socket = peer.socket.get();
    const Hello hello{.regions = static_cast<std::uint32_t>(own.size()), .key = key};
    send_packet(socket, bytes_of(hello), {}, deadline);
    const Answer answer = wait_for_answer(socket, Verdict::accepted, deadline);
    peer.memory = receive_regions(socket, answer.regions, deadline);
    send_regions(socket, own, deadline);
    wait_for_answer(socket, Verdict::ready, deadline);
    return peer;
}

} // namespace clearframe::emulated
