// How two emulated NICs of different processes find each other.
#pragma once

#include "core/unique_fd.h"
#include "nic/emulated/peer_memory.h"
#include "nic/emulated/socket.h"
#include "nic/nic.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace clearframe::emulated {

// A peer that has been let in, and all that it has shown. Unmapped before the socket is closed.
struct Acquaintance {
    UniqueFd socket;
    PeerMemory memory;               // what may be written there
    std::vector<std::uint32_t> told; // rkeys of what it may write here
};

using Memories = std::span<const std::shared_ptr<const DeviceMemory>>;

// The peer that shows `key` at the socket of listen_at_random_name(). Who shows something else, or
// nothing for a second, is turned away; few are waited for at a time. `own` is what the peer may
// write. Blocks. Throws Error: time-out, cancel, the peer's memory cannot be had.
Acquaintance accept_peer(int listener, const ConnectionKey& key, Memories own,
                         const Patience& patience);

// The other side of it. Throws Error, too, when it is turned away.
Acquaintance connect_to_peer(std::string_view address, const ConnectionKey& key, Memories own,
                             const Patience& patience);

} // namespace clearframe::emulated
