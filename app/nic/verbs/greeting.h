// What two ends tell each other while librdmacm connects them, and how an address is written.
// Pure: it knows no library. What it decodes comes from strangers.
#pragma once

#include "nic/nic.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace clearframe::verbs {

inline constexpr std::uint8_t greeting_version = 1;
// Of one connection; and what a greeting, which librdmacm gives 56 bytes, has room for.
inline constexpr std::size_t most_queue_pairs = 8;
inline constexpr std::size_t greeting_bytes = 56;
inline constexpr std::size_t refusal_bytes = 8;

// The same from both sides: a request shows the key, the answer repeats it.
struct Greeting {
    ConnectionKey key{};
    std::uint8_t mtu = 0;                                  // enum ibv_mtu
    std::uint8_t queue_pairs = 0;                          // of the connection, from 1
    std::array<std::uint32_t, most_queue_pairs> numbers{}; // of the queue pairs, 24 bits each

    bool operator==(const Greeting&) const = default;
};

// Why a request was turned away.
enum class RefusalReason : std::uint8_t { version = 1, key = 2, queue_pairs = 3 };
struct Refusal {
    std::uint8_t version = greeting_version; // of who refuses
    RefusalReason reason{};
    std::uint8_t queue_pairs = 0; // that who refuses has

    bool operator==(const Refusal&) const = default;
};

// What stands in a request or an answer: its greeting, or the version of one that this program does
// not know; neither where it is none.
struct DecodedGreeting {
    std::optional<Greeting> greeting;
    std::optional<std::uint8_t> other_version;
};

// Layout, in network byte order: 0 "cfrd", 4 version, 5 queue pairs, 6 mtu, 7 zero, 8 key,
// 24 numbers, zero where there is no queue pair. Longer data is padded and its end not looked at.
std::array<std::byte, greeting_bytes> encode(const Greeting& greeting);
DecodedGreeting decode_greeting(std::span<const std::byte> data);

// Layout: 0 "cfrd", 4 version, 5 reason, 6 queue pairs, 7 zero.
std::array<std::byte, refusal_bytes> encode(const Refusal& refusal);
std::optional<Refusal> decode_refusal(std::span<const std::byte> data);

// An IP address in the form of a RoCE v2 GID: IPv6, or IPv4 as ::ffff:a.b.c.d.
using IpAddress = std::array<std::uint8_t, 16>;
bool is_ipv4(const IpAddress& ip) noexcept;
bool is_link_local(const IpAddress& ip) noexcept; // fe80::/10

struct SocketName {
    IpAddress ip{};
    std::uint16_t port = 0; // from 1

    bool operator==(const SocketName&) const = default;
};

// "10.0.0.1", "fe80::1".
std::string ip_text(const IpAddress& ip);
// "10.0.0.1:4791", "[fe80::1]:4791".
std::string socket_name_text(const SocketName& name);
// What socket_name_text() writes; none if it is something else.
std::optional<SocketName> parse_socket_name(std::string_view text);

} // namespace clearframe::verbs
