#include "paths/receive_memory.h"

#include "paths/table.h"

namespace clearframe {

std::vector<DmaBuf> allocate_slots(const Heap& heap, const FrameLayout& layout, std::uint32_t count,
                                   Exposure exposure, ExposureMeter& meter) {
    std::vector<DmaBuf> slots;
    slots.reserve(count);
    for (std::uint32_t i = 0; i < count; ++i)
        slots.push_back(heap.allocate(layout.slot_bytes, exposure, meter));
    return slots;
}

std::vector<std::unique_ptr<MemoryRegion>> register_slots(Nic& nic, std::span<const DmaBuf> slots,
                                                          RemoteAccess access) {
    std::vector<std::unique_ptr<MemoryRegion>> regions;
    for (const DmaBuf& slot : slots)
        regions.push_back(nic.register_memory(slot, access));
    return regions;
}

std::vector<const MemoryRegion*> pointers(std::span<const std::unique_ptr<MemoryRegion>> regions) {
    std::vector<const MemoryRegion*> result;
    for (const auto& region : regions)
        result.push_back(region.get());
    return result;
}

std::vector<Mapping> map_slots(std::span<const DmaBuf> slots, Access access) {
    std::vector<Mapping> mappings;
    for (const DmaBuf& slot : slots)
        mappings.push_back(slot.map(access));
    return mappings;
}

ReceiveMemory::ReceiveMemory(const PathParts& parts)
    : buffers(allocate_slots(parts.shared_heap, parts.layout, parts.ring, Exposure::shared,
                             parts.exposure)),
      regions(register_slots(parts.nic, buffers, RemoteAccess::write)),
      mappings(map_slots(buffers, Access::read)) {}

std::vector<RemoteSlot> ReceiveMemory::remote_slots() const {
    std::vector<RemoteSlot> slots;
    for (const auto& region : regions)
        slots.push_back({region->address(), region->rkey()});
    return slots;
}

} // namespace clearframe
