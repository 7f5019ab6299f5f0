#include "nic/emulated/device_memory.h"

#include "core/units.h"

#include <algorithm>

namespace clearframe {
namespace {

// Between two regions: what runs over the end of one hits nothing.
constexpr std::size_t guard = 64 * KiB;

} // namespace

std::byte* DeviceMemory::find(std::uint64_t at, std::uint64_t length) const noexcept {
    const std::span<std::byte> bytes = mapping.bytes();
    if (at < address || length > bytes.size() || at - address > bytes.size() - length)
        return nullptr;
    return bytes.data() + (at - address);
}

std::shared_ptr<const DeviceMemory> RegionTable::add(Mapping mapping, RemoteAccess access,
                                                     UniqueFd fd) {
    const std::size_t bytes = mapping.bytes().size();
    const std::uint32_t lkey = new_key();
    std::uint32_t rkey = new_key();
    while (rkey == lkey)
        rkey = new_key();
    auto memory = std::make_shared<const DeviceMemory>(
        DeviceMemory{std::move(mapping), access, next_address_, lkey, rkey, std::move(fd)});
    next_address_ += align_up(bytes, guard) + guard;
    keys_.emplace(lkey, memory);
    keys_.emplace(rkey, memory);
    return memory;
}

void RegionTable::remove(const DeviceMemory& memory) {
    keys_.erase(memory.rkey);
    keys_.erase(memory.lkey);
}

std::shared_ptr<const DeviceMemory> RegionTable::find_local(std::uint32_t lkey) const {
    const auto found = keys_.find(lkey);
    return found != keys_.end() && found->second->lkey == lkey ? found->second : nullptr;
}

std::shared_ptr<const DeviceMemory> RegionTable::find_remote(std::uint32_t rkey) const {
    const auto found = keys_.find(rkey);
    return found != keys_.end() && found->second->rkey == rkey ? found->second : nullptr;
}

std::vector<std::shared_ptr<const DeviceMemory>> RegionTable::writable() const {
    std::vector<std::shared_ptr<const DeviceMemory>> all;
    for (const auto& [key, memory] : keys_)
        if (key == memory->rkey && memory->fd)
            all.push_back(memory);
    std::ranges::sort(all, {}, &DeviceMemory::address);
    return all;
}

// Random, so that a key that is wrong, or another NIC's, hits nothing.
std::uint32_t RegionTable::new_key() {
    std::uint32_t key = 0;
    while (key == 0 || keys_.contains(key))
        key = random_();
    return key;
}

} // namespace clearframe
