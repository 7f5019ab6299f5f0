// What the two ends of a stream on different hosts say to each other beside the frames.
//
//   sender                              receiver
//   hello: version, geometry, ring  ─>
//                                   <─  welcome: slots, keys, where its NIC is; or a rejection
//            (the NICs connect to each other)
//   begin: path, scene              ─>
//                                   <─  ready
//            (frames and credits, by RDMA)
//   end                             ─>
//                                   <─  result: what arrived
//            … more blocks …
//   bye                            <─>  bye: from whichever ends it
//
// All numbers are little-endian, all texts of fixed size, padded with zeros. Everything that is
// decoded comes from a stranger: a decoder says what is wrong, in our and in their value, or
// returns something whose every field is within its bounds. No I/O.
#pragma once

#include "wire/frame.h"
#include "wire/remote_slot.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace clearframe {

inline constexpr std::uint32_t control_magic = 0x43464c43; // "CLFC" in memory
inline constexpr std::uint16_t control_version = 1;

enum class ControlType : std::uint16_t {
    hello = 1,
    welcome = 2,
    rejection = 3,
    begin = 4,
    ready = 5,
    end = 6,
    result = 7,
    bye = 8,
};

// Where two ends do not fit each other.
struct Mismatch {
    std::string field;  // "version"
    std::string ours;   // of who decodes, or refuses
    std::string theirs; // of who sent it
};
// "version: ours 1, theirs 2".
std::string mismatch_text(const Mismatch& mismatch);

template <typename T>
using Decoded = std::variant<T, Mismatch>;

// Before every message.
struct Envelope {
    ControlType type = ControlType::hello;
    std::uint32_t length = 0; // bytes of what follows
};
inline constexpr std::size_t envelope_bytes = 16; // magic, version, type, length, 0
inline constexpr std::size_t max_control_bytes = 16384;

// A part of the other end, as it stands in a record; of empty name where it has none.
struct PeerPart {
    std::string name;      // 63 bytes at most, as all these are cut to their field
    std::string detail;    // 127
    std::string emulation; // 191; empty: it is real
};

struct Hello {
    FrameLayout layout;
    std::uint32_t format = format_bgra8;
    std::uint32_t ring = 0; // slots at each end
    std::uint32_t seed = 0; // of the scenes
    std::uint32_t max_message = 0;
    std::uint32_t bounce = 0;         // enum class Bounce
    std::vector<std::string> paths;   // by name, 8 at most, 15 bytes each
    std::string nic;                  // kind: "verbs", 15 bytes
    std::string program;              // name and version, 63 bytes
    std::array<std::byte, 16> host{}; // equal on both ends: one kernel, one clock
    std::array<PeerPart, 3> parts;    // heap, gpu, nic
};

struct Welcome {
    std::uint32_t max_message = 0;   // bytes in one write, as both NICs can
    std::string nic_address;         // of its Listener, 63 bytes
    std::array<std::byte, 16> key{}; // to be shown to it
    std::string program;             // 63 bytes
    std::array<PeerPart, 2> parts;   // heap, nic
    std::vector<RemoteSlot> slots;   // as many as the ring of the hello has
};

struct Rejection {
    Mismatch mismatch;  // field empty: none, `advice` says all. 31, 95 and 95 bytes
    std::string advice; // 191 bytes
};

struct Begin {
    std::uint32_t block = 0; // counted from 0
    std::uint32_t path = 0;  // index into the hello's
    Scene scene = Scene::none;
    std::uint32_t verify = 0; // enum class Verify
};

struct Ready {
    std::uint32_t block = 0;
};

struct End {
    std::uint32_t block = 0;
};

// What arrived in a block, by the receiver's own count and clock.
struct Result {
    std::uint32_t block = 0;
    std::uint64_t frames = 0, lost = 0, corrupt = 0, rejected = 0;
    std::uint64_t verified_pixels = 0;
    std::uint64_t copied_bytes = 0;
    std::uint64_t cpu_ns = 0, cpu_copy_ns = 0;
    std::uint64_t timed_frames = 0, timed_bytes = 0, time_ns = 0; // ThroughputMeter::Totals
};

struct Bye {
    std::string reason; // 191 bytes; empty: all is said
};

// The whole message, envelope and all.
std::vector<std::byte> encode(const Hello& message);
std::vector<std::byte> encode(const Welcome& message);
std::vector<std::byte> encode(const Rejection& message);
std::vector<std::byte> encode(const Begin& message);
std::vector<std::byte> encode(const Ready& message);
std::vector<std::byte> encode(const End& message);
std::vector<std::byte> encode(const Result& message);
std::vector<std::byte> encode(const Bye& message);

// A rejection is understood from any version: it is how one hears of the other's.
Decoded<Envelope> decode_envelope(std::span<const std::byte, envelope_bytes> bytes);

// What follows the envelope.
Decoded<Hello> decode_hello(std::span<const std::byte> bytes);
Decoded<Welcome> decode_welcome(std::span<const std::byte> bytes, const Hello& hello);
Decoded<Rejection> decode_rejection(std::span<const std::byte> bytes);
Decoded<Begin> decode_begin(std::span<const std::byte> bytes, const Hello& hello);
Decoded<Ready> decode_ready(std::span<const std::byte> bytes);
Decoded<End> decode_end(std::span<const std::byte> bytes);
Decoded<Result> decode_result(std::span<const std::byte> bytes);
Decoded<Bye> decode_bye(std::span<const std::byte> bytes);

} // namespace clearframe
