// What `--nic verbs:…` asks for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace clearframe {

struct VerbsOptions {
    std::string device;               // "mlx5_0"; empty: the best one
    std::optional<std::uint8_t> port; // or the first that is active and has an address
    std::optional<std::uint8_t> gid;  // index of the address; or the best one of the port
    std::uint8_t queue_pairs = 1;     // qps=: of one connection, 1 to 8
    bool spin = false;                // wait=poll: waits by asking, at the cost of a core
    std::uint16_t cq_moderation = 0;  // completions for one event; 0: as the device has it
    std::uint32_t mtu = 0;            // bytes of a packet's payload; 0: the port's
};

// "device=mlx5_0,port=1,gid=3,qps=2,wait=poll,cq-moderation=8,mtu=4096", each at most once. Throws
// Error of usage.
VerbsOptions parse_verbs_options(std::string_view text);

} // namespace clearframe
