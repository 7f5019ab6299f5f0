// The receiver's slots: shared memory that the peer writes into. Every path receives into the
// same ones.
#pragma once

#include "memory/heap.h"
#include "nic/nic.h"
#include "paths/path.h"

#include <memory>
#include <vector>

namespace clearframe {

struct PathParts;

// Destroyed in reverse: mappings, then registrations, then the memory itself.
struct ReceiveMemory {
    // Allocates, maps and registers parts.ring slots. Throws Error.
    explicit ReceiveMemory(const PathParts& parts);

    std::vector<DmaBuf> buffers;
    std::vector<std::unique_ptr<MemoryRegion>> regions;
    std::vector<Mapping> mappings;

    std::vector<RemoteSlot> remote_slots() const; // what the sender is told
};

// `count` slots for frames of `layout`. Throws Error.
std::vector<DmaBuf> allocate_slots(const Heap& heap, const FrameLayout& layout, std::uint32_t count,
                                   Exposure exposure, ExposureMeter& meter);

std::vector<std::unique_ptr<MemoryRegion>> register_slots(Nic& nic, std::span<const DmaBuf> slots,
                                                          RemoteAccess access);

std::vector<const MemoryRegion*> pointers(std::span<const std::unique_ptr<MemoryRegion>> regions);

std::vector<Mapping> map_slots(std::span<const DmaBuf> slots, Access access);

} // namespace clearframe
