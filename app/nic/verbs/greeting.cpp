#include "nic/verbs/greeting.h"

#include <fmt/format.h>

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <cstring>
#include <netinet/in.h>

namespace clearframe::verbs {
namespace {

constexpr std::array<std::byte, 4> magic{std::byte{'c'}, std::byte{'f'}, std::byte{'r'},
                                         std::byte{'d'}};
constexpr std::size_t version_at = 4;
constexpr std::size_t key_at = 8;
constexpr std::size_t numbers_at = 24;
static_assert(numbers_at + 4 * most_queue_pairs == greeting_bytes);

constexpr std::uint32_t most_number = (1u << 24) - 1; // of a queue pair
constexpr std::uint8_t least_mtu = 1, most_mtu = 5;   // IBV_MTU_256 … IBV_MTU_4096

constexpr std::array<std::uint8_t, 12> ipv4_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool is_ours(std::span<const std::byte> data) {
    return data.size() > version_at && std::equal(magic.begin(), magic.end(), data.begin());
}

// As many numbers as there are queue pairs, and nothing behind them.
bool numbers_make_sense(const Greeting& greeting) {
    for (std::size_t i = 0; i < most_queue_pairs; ++i) {
        const std::uint32_t number = greeting.numbers[i];
        if (i < greeting.queue_pairs ? number == 0 || number > most_number : number != 0)
            return false;
    }
    return true;
}

} // namespace

std::array<std::byte, greeting_bytes> encode(const Greeting& greeting) {
    std::array<std::byte, greeting_bytes> data{};
    std::copy(magic.begin(), magic.end(), data.begin());
    data[version_at] = std::byte{greeting_version};
    data[5] = std::byte{greeting.queue_pairs};
    data[6] = std::byte{greeting.mtu};
    std::copy(greeting.key.begin(), greeting.key.end(), data.begin() + key_at);
    for (std::size_t i = 0; i < most_queue_pairs; ++i) {
        const std::uint32_t number = htonl(greeting.numbers[i]);
        std::memcpy(data.data() + numbers_at + 4 * i, &number, sizeof number);
    }
    return data;
}

DecodedGreeting decode_greeting(std::span<const std::byte> data) {
    if (!is_ours(data))
        return {};
    const auto version = std::to_integer<std::uint8_t>(data[version_at]);
    if (version != greeting_version)
        return {.greeting = {}, .other_version = version};
    if (data.size() < greeting_bytes || data[7] != std::byte{0})
        return {};
    Greeting greeting;
    greeting.queue_pairs = std::to_integer<std::uint8_t>(data[5]);
    greeting.mtu = std::to_integer<std::uint8_t>(data[6]);
    std::copy_n(data.begin() + key_at, greeting.key.size(), greeting.key.begin());
    for (std::size_t i = 0; i < most_queue_pairs; ++i) {
        std::uint32_t number = 0;
        std::memcpy(&number, data.data() + numbers_at + 4 * i, sizeof number);
        greeting.numbers[i] = ntohl(number);
    }
    if (greeting.queue_pairs == 0 || greeting.queue_pairs > most_queue_pairs ||
        greeting.mtu < least_mtu || greeting.mtu > most_mtu || !numbers_make_sense(greeting))
        return {};
    return {.greeting = greeting, .other_version = {}};
}

std::array<std::byte, refusal_bytes> encode(const Refusal& refusal) {
    std::array<std::byte, refusal_bytes> data{};
    std::copy(magic.begin(), magic.end(), data.begin());
    data[version_at] = std::byte{refusal.version};
    data[5] = static_cast<std::byte>(refusal.reason);
    data[6] = std::byte{refusal.queue_pairs};
    return data;
}

std::optional<Refusal> decode_refusal(std::span<const std::byte> data) {
    if (data.size() < refusal_bytes || !is_ours(data))
        return {};
    Refusal refusal;
    refusal.version = std::to_integer<std::uint8_t>(data[version_at]);
    refusal.reason = static_cast<RefusalReason>(data[5]);
    refusal.queue_pairs = std::to_integer<std::uint8_t>(data[6]);
    switch (refusal.reason) {
    case RefusalReason::version:
    case RefusalReason::key:
    case RefusalReason::queue_pairs:
        return refusal;
    }
    return {};
}

bool is_ipv4(const IpAddress& ip) noexcept {
    return std::equal(ipv4_prefix.begin(), ipv4_prefix.end(), ip.begin());
}

bool is_link_local(const IpAddress& ip) noexcept { return ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80; }

std::string ip_text(const IpAddress& ip) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (is_ipv4(ip))
        ::inet_ntop(AF_INET, ip.data() + ipv4_prefix.size(), text.data(), text.size());
    else
        ::inet_ntop(AF_INET6, ip.data(), text.data(), text.size());
    return text.data();
}

std::string socket_name_text(const SocketName& name) {
    return is_ipv4(name.ip) ? fmt::format("{}:{}", ip_text(name.ip), name.port)
                            : fmt::format("[{}]:{}", ip_text(name.ip), name.port);
}

std::optional<SocketName> parse_socket_name(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == text.npos)
        return {};
    std::string_view ip = text.substr(0, colon);
    const std::string_view port = text.substr(colon + 1);
    SocketName name;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), name.port);
    if (error != std::errc() || end != port.data() + port.size() || name.port == 0)
        return {};
    if (ip.size() > 2 && ip.front() == '[' && ip.back() == ']') {
        ip = ip.substr(1, ip.size() - 2);
        if (::inet_pton(AF_INET6, std::string(ip).c_str(), name.ip.data()) != 1)
            return {};
        return name;
    }
    std::copy(ipv4_prefix.begin(), ipv4_prefix.end(), name.ip.begin());
    if (::inet_pton(AF_INET, std::string(ip).c_str(), name.ip.data() + ipv4_prefix.size()) != 1)
        return {};
    return name;
}

} // namespace clearframe::verbs
