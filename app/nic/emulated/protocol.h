// What two emulated NICs say to each other over their socket, byte for byte. No I/O.
//
// Native byte order: both are on one machine. A datagram is one message. Whatever comes is
// hostile: a decoder takes any bytes and returns nothing for what is no such message.
#pragma once

#include "nic/nic.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace clearframe::emulated {

inline constexpr std::array<char, 8> magic = {'C', 'F', 'N', 'I', 'C', 'E', 'M', 'U'};
inline constexpr std::uint32_t protocol_version = 1;

inline constexpr std::uint32_t most_regions = 512; // that one side lets the other write
inline constexpr std::uint32_t regions_in_message = 16;
inline constexpr std::size_t most_message_bytes = 512;

// Before the connection: who connects says Hello, who listens an Answer. Then each side sends its
// regions, who listens first, and who listens says `ready`.
struct Hello {
    std::array<char, 8> magic = emulated::magic;
    std::uint32_t version = protocol_version;
    std::uint32_t regions = 0; // that will be sent
    ConnectionKey key{};
};
static_assert(sizeof(Hello) == 32);

enum class Verdict : std::uint32_t {
    accepted = 1,
    ready = 2,
    other_version = 3, // turned away
    wrong_key = 4,     // turned away
};

struct Answer {
    std::array<char, 8> magic = emulated::magic;
    std::uint32_t version = protocol_version;
    Verdict verdict = Verdict::accepted;
    std::uint32_t regions = 0; // that will be sent
    std::uint32_t zero = 0;
};
static_assert(sizeof(Answer) == 24);

// Memory that the receiver of the message may write. Its fd comes with the message.
struct RegionRecord {
    std::uint64_t address = 0; // the sender's device's
    std::uint64_t length = 0;  // bytes
    std::uint32_t rkey = 0;
    std::uint32_t zero = 0;
};
static_assert(sizeof(RegionRecord) == 24);

struct RegionsHeader {
    std::uint32_t kind = 0x52454749;
    std::uint32_t count = 0; // records that follow
};
static_assert(sizeof(RegionsHeader) == 8);
static_assert(sizeof(RegionsHeader) + regions_in_message * sizeof(RegionRecord) <=
              most_message_bytes);

// On the connection.
enum class NoteKind : std::uint32_t {
    arrived = 1,   // a write with immediate is done: value is its length
    confirmed = 2, // `value` more arrivals have been completed
    not_ready = 3, // the next arrival found no receive: the connection is broken
    broken = 4,    // a write failed: the connection is broken
    revoke = 5,    // the region with rkey `value` may not be written any more
    revoked = 6,   // no write to that region will begin
};

struct Note {
    NoteKind kind = NoteKind::arrived;
    std::uint32_t value = 0;
    std::uint32_t immediate = 0; // arrived
    std::uint32_t zero = 0;
    Nanoseconds due = 0; // arrived: of now(), the same clock in every process
};
static_assert(sizeof(Note) == 24);

// Arrivals that may be unconfirmed, so that the notes of both sides fit into a socket's buffer
// whatever the depth of the queues.
inline constexpr std::uint32_t most_unconfirmed = 64;

// All fields but the key, the version and the number of regions have been checked.
std::optional<Hello> decode_hello(std::span<const std::byte> bytes);
std::optional<Answer> decode_answer(std::span<const std::byte> bytes);
std::optional<Note> decode_note(std::span<const std::byte> bytes);
// From 1 to regions_in_message records. Their values are not checked.
std::optional<std::vector<RegionRecord>> decode_regions(std::span<const std::byte> bytes);
std::vector<std::byte> encode_regions(std::span<const RegionRecord> records);

} // namespace clearframe::emulated
