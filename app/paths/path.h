// Paths: what happens to a frame between the GPU and the NIC, and between the NIC and its user.
//
// A path has two sides. The sender's owns the slots that are rendered into and posts them; the
// receiver's hands out a frame that has arrived. paths/table.h lists the paths by name.
#pragma once

#include "measure/meters.h"
#include "memory/heap.h"
#include "nic/nic.h"
#include "wire/frame.h"
#include "wire/remote_slot.h"

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace clearframe {

// A write's wr_id: which frame it belongs to, and what the path needs to know when it completes.
// Comes back from a device: holds nothing that is used unchecked.
struct WriteTag {
    std::uint32_t generation = 0;  // 32 bits: of the sender's use of the remote slot
    std::uint32_t remote_slot = 0; // 8 bits
    bool control = false;          // no frame's: a credit or another message alone
    bool last = false;             // the frame's last write
    std::uint32_t piece = 0;       // 22 bits: the path's own

    std::uint64_t encode() const {
        return std::uint64_t{control} << 63 | std::uint64_t{last} << 62 |
               std::uint64_t{remote_slot & 0xff} << 54 | std::uint64_t{generation} << 22 |
               (piece & 0x3fffff);
    }
    static WriteTag decode(std::uint64_t id) {
        return {.generation = static_cast<std::uint32_t>(id >> 22),
                .remote_slot = static_cast<std::uint32_t>(id >> 54 & 0xff),
                .control = (id >> 63 & 1) != 0,
                .last = (id >> 62 & 1) != 0,
                .piece = static_cast<std::uint32_t>(id & 0x3fffff)};
    }
};

// A frame that the path is sending.
struct OutgoingFrame {
    std::uint32_t slot = 0; // the sender's
    RemoteSlot remote;
    WriteTag tag;                // control, last and piece are the path's to set
    std::uint32_t immediate = 0; // goes with the last write
    std::uint64_t done = 0;      // bytes posted so far
    Nanoseconds copy_ns = 0;     // time spent in copies so far
    Nanoseconds post_ns = 0;     // time spent in posting so far
    Nanoseconds first_post = 0;  // when the first write was posted; 0: not yet
    bool bounced = false;        // staging: copied from where the GPU drew it
};

// The length of the last of the pieces, `piece` bytes each, that `bytes` bytes are sent in.
constexpr std::uint32_t last_piece(std::uint64_t bytes, std::uint64_t piece) {
    return static_cast<std::uint32_t>((bytes - 1) % piece + 1);
}

// How far advance() came.
enum class Progress {
    posted,  // every write is with the NIC
    blocked, // send queue or staging pool is full: go on after the next completion
};

// The sender's side. Used by one thread.
class SendPath {
public:
    virtual ~SendPath() = default;

    // The slots that are rendered into. Valid as long as the path.
    virtual std::span<const DmaBuf> slots() const = 0;
    // The memory that the NIC sends from. Valid as long as the path.
    virtual std::vector<const MemoryRegion*> regions() const = 0;
    // Whether a slot may be rendered into again as soon as advance() said `posted` (the frame has
    // been copied), or only when its last write has completed.
    virtual bool frees_slot_when_posted() const = 0;

    // Brings a rendered frame closer to the wire. Blocks on nothing, allocates nothing.
    virtual Progress advance(OutgoingFrame& frame, SendMeter& meter) = 0;
    // A write of this path has completed, well or not.
    virtual void completed(const WriteTag& tag) = 0;
};

// A frame as its user reads it. Memory that a peer can write stays as it is only if the peer is
// kind: read it once.
using FrameView = std::span<const std::byte>;

// The receiver's side. Used by one thread.
class ReceivePath {
public:
    virtual ~ReceivePath() = default;

    // Bytes that the write with the immediate must have carried.
    virtual std::uint32_t last_write_bytes() const = 0;
    // Makes the frame that arrived in `slot` usable. The view is valid until the slot is credited.
    virtual FrameView receive(std::uint32_t slot, ReceiveMeter& meter) = 0;
    // The buffers that those views are of, one for each slot: for a device that reads the frame.
    // Valid as long as the path.
    virtual std::span<const DmaBuf> frames() const = 0;
};

} // namespace clearframe
