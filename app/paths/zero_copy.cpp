#include "paths/zero_copy.h"

#include <algorithm>

namespace clearframe {
namespace {

class ZeroCopySend final : public SendPath {
public:
    ZeroCopySend(const PathParts& parts, Endpoint& endpoint)
        : endpoint_(endpoint),
          bytes_(parts.layout.bytes),
          max_message_(parts.max_message),
          slots_(allocate_slots(parts.shared_heap, parts.layout, parts.ring, Exposure::shared,
                                parts.exposure)),
          regions_(register_slots(parts.nic, slots_, RemoteAccess::none)) {}

    std::span<const DmaBuf> slots() const override { return slots_; }
    std::vector<const MemoryRegion*> regions() const override { return pointers(regions_); }
    bool frees_slot_when_posted() const override { return false; }

    // One write a frame, or a few for a frame over the NIC's message limit.
    Progress advance(OutgoingFrame& frame, SendMeter&) override {
        const Nanoseconds start = now();
        if (frame.first_post == 0)
            frame.first_post = start;
        while (frame.done < bytes_) {
            WriteRequest request = next_write(frame);
            if (endpoint_.post({&request, 1}) == 0)
                break;
            frame.done += request.length;
        }
        frame.post_ns += now() - start;
        return frame.done == bytes_ ? Progress::posted : Progress::blocked;
    }

    void completed(const WriteTag&) override {}

private:
    WriteRequest next_write(const OutgoingFrame& frame) const {
        const std::uint64_t rest = bytes_ - frame.done;
        const std::uint64_t length = std::min(rest, max_message_);
        WriteTag tag = frame.tag;
        tag.last = length == rest;
        WriteRequest request;
        request.wr_id = tag.encode();
        request.local = regions_[frame.slot].get();
        request.local_offset = frame.done;
        request.length = static_cast<std::uint32_t>(length);
        request.remote_address = frame.remote.address + frame.done;
        request.rkey = frame.remote.rkey;
        request.signaled = tag.last;
        if (tag.last)
            request.immediate = frame.immediate;
        return request;
    }

    Endpoint& endpoint_;
    std::uint64_t bytes_;
    std::uint64_t max_message_;
    std::vector<DmaBuf> slots_;
    std::vector<std::unique_ptr<MemoryRegion>> regions_;
};

class ZeroCopyReceive final : public ReceivePath {
public:
    ZeroCopyReceive(const PathParts& parts, const ReceiveMemory& memory)
        : bytes_(parts.layout.bytes),
          last_write_(last_piece(bytes_, parts.max_message)),
          memory_(memory) {}

    std::uint32_t last_write_bytes() const override { return last_write_; }
    FrameView receive(std::uint32_t slot, ReceiveMeter&) override {
        return memory_.mappings[slot].bytes().first(bytes_);
    }
    std::span<const DmaBuf> frames() const override { return memory_.buffers; }

private:
    std::uint64_t bytes_;
    std::uint32_t last_write_;
    const ReceiveMemory& memory_;
};

} // namespace

std::uint64_t zero_copy_memory(const PathParts& parts) {
    return parts.layout.slot_bytes * parts.ring;
}

std::unique_ptr<SendPath> make_zero_copy_send(const PathParts& parts, Endpoint& endpoint) {
    return std::make_unique<ZeroCopySend>(parts, endpoint);
}

std::unique_ptr<ReceivePath> make_zero_copy_receive(const PathParts& parts,
                                                    const ReceiveMemory& memory) {
    return std::make_unique<ZeroCopyReceive>(parts, memory);
}

} // namespace clearframe
