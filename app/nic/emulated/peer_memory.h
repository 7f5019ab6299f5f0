// What a peer in another process lets this NIC write.
#pragma once

#include "nic/emulated/device_memory.h"
#include "nic/emulated/protocol.h"

#include <cstdint>
#include <map>
#include <memory>
#include <unordered_map>

namespace clearframe::emulated {

// By the peer's own keys and addresses: nothing of it is in the NIC's table. Not thread-safe.
class PeerMemory {
public:
    // Maps what the peer has described and sent. Everything is its word: throws Error for a range
    // that makes no sense or overlaps another, a key that comes twice, a file that is smaller, that
    // could become smaller or that would have to be filled first.
    void add(const RegionRecord& record, int fd);

    std::shared_ptr<const DeviceMemory> find(std::uint32_t rkey) const; // null if there is none
    // Takes it out; null if there is none. It is unmapped with the last who holds it.
    std::shared_ptr<const DeviceMemory> take(std::uint32_t rkey);
    bool empty() const noexcept { return by_key_.empty(); }

private:
    std::unordered_map<std::uint32_t, std::shared_ptr<const DeviceMemory>> by_key_;
    std::map<std::uint64_t, std::uint64_t> ranges_; // address, length
    std::uint64_t bytes_ = 0;
};

} // namespace clearframe::emulated
