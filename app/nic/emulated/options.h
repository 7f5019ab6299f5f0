// What `--nic emulated:…` takes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace clearframe {

// What can be made to go wrong with a frame on its way, for tests. Frames are writes with
// immediate and a length; they are counted from 0 in the order in which they are posted on one
// end of a connection. A frame in pieces counts once, and its fault strikes the last piece. Of
// several faults that would strike one frame, the first of this list does.
enum class NicFault : std::uint8_t {
    corrupt,         // one byte of what is written differs
    drop,            // nothing arrives; the sender sees success
    torn,            // only the first half of the write is done
    late,            // the receiver is told before the bytes are there, and they never come
    wrong_length,    // the completion's byte_len is not what was written
    wrong_immediate, // the immediate is another one
    error,           // the write fails with a remote access error
    stall,           // the NIC's engine stops for good
};
inline constexpr std::size_t nic_fault_count = 8;
std::string_view nic_fault_name(NicFault fault); // "corrupt", "wrong-length", …

// When one fault strikes: with a probability, or at one frame.
struct FaultRule {
    double probability = 0;
    std::optional<std::uint64_t> at_frame;

    bool strikes_ever() const { return probability > 0 || at_frame.has_value(); }
    bool operator==(const FaultRule&) const = default;
};

struct EmulatedNicOptions {
    double gbits_per_s = 0;      // 0: as fast as memory allows
    std::int64_t latency_ns = 0; // from the last byte written to the completions
    std::uint64_t seed = 1;      // of the faults' random numbers
    std::array<FaultRule, nic_fault_count> faults{};

    bool has_faults() const;
    bool operator==(const EmulatedNicOptions&) const = default;
};

// Parses "rate=100Gbps,latency=5us,corrupt=0.01,drop=@17,seed=3" (any part may be missing; rates
// in Mbps, Gbps or Tbps, times in ns, us or ms, a probability from 0 to 1, @N for frame N).
// Throws Error of usage that says what was expected.
EmulatedNicOptions parse_emulated_options(std::string_view text);

// For people: "100 Gb/s, latency 5 us, faults: drop at frame 17"; "as fast as memory allows".
std::string describe(const EmulatedNicOptions& options);

} // namespace clearframe
