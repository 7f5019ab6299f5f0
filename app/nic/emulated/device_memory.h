// The emulated device's view of memory: what is registered, by key.
#pragma once

#include "core/unique_fd.h"
#include "memory/dma_buf.h"
#include "nic/nic.h"

#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <unordered_map>
#include <vector>

namespace clearframe {

// A registered buffer as the device sees it: through a mapping of its own, at an address that
// means something to the device alone. Immutable.
struct DeviceMemory {
    Mapping mapping;
    RemoteAccess access = RemoteAccess::none;
    std::uint64_t address = 0; // a whole page's
    std::uint32_t lkey = 0;
    std::uint32_t rkey = 0;
    UniqueFd fd; // of the buffer, if a peer in another process may write it

    // Where `length` bytes at a device address are; null unless they are all inside.
    std::byte* find(std::uint64_t at, std::uint64_t length) const noexcept;
};

// What is registered now. Memory that was looked up stays mapped for as long as it is held. Not
// thread-safe.
class RegionTable {
public:
    // `fd`, of the same buffer, lets peers in other processes write it.
    std::shared_ptr<const DeviceMemory> add(Mapping mapping, RemoteAccess access, UniqueFd fd);
    void remove(const DeviceMemory& memory);

    // Null where no region has such a key.
    std::shared_ptr<const DeviceMemory> find_local(std::uint32_t lkey) const;
    std::shared_ptr<const DeviceMemory> find_remote(std::uint32_t rkey) const;
    // What peers in other processes may write, in the order of its addresses.
    std::vector<std::shared_ptr<const DeviceMemory>> writable() const;

private:
    std::uint32_t new_key();

    std::unordered_map<std::uint32_t, std::shared_ptr<const DeviceMemory>> keys_; // of both kinds
    std::uint64_t next_address_ = 1ull << 32;
    std::random_device random_;
};

} // namespace clearframe
