#include "paths/staging.h"

#include "core/fixed_queue.h"
#include "measure/timer.h"

#include <unistd.h>

#include <algorithm>
#include <array>

namespace clearframe {
namespace {

// Long enough to tell the methods apart, short enough not to be waited for.
constexpr Nanoseconds copy_choice_budget = 40'000'000;

// Copies, and counts the bytes and the time.
class Copier {
public:
    explicit Copier(CopyFunction function) : copy_(function) {}

    void copy(std::byte* target, std::span<const std::byte> source, Counter& bytes) const {
        copy_(target, source.data(), source.size());
        bytes.add(source.size());
    }

private:
    CopyFunction copy_;
};

std::size_t pieces_of(std::uint64_t bytes) {
    return (bytes + swiotlb_mapping - 1) / swiotlb_mapping;
}

class StagingSend final : public SendPath {
public:
    StagingSend(const PathParts& parts, Endpoint& endpoint)
        : endpoint_(endpoint),
          bytes_(parts.layout.bytes),
          private_slots_(allocate_slots(parts.private_heap, parts.layout, parts.ring,
                                        Exposure::private_memory, parts.exposure)),
          private_maps_(map_slots(private_slots_, Access::read_write)),
          pool_(staging_pool_bytes(parts)),
          pool_memory_(parts.shared_heap.allocate(pool_.bytes(), Exposure::shared, parts.exposure)),
          pool_map_(pool_memory_.map(Access::read_write)),
          pool_region_(parts.nic.register_memory(pool_memory_, RemoteAccess::none)),
          posted_(pool_.bytes() / swiotlb_slot),
          to_pool_(fastest_copy(pool_map_.bytes(), private_maps_[0].bytes(),
                                std::min<std::uint64_t>(bytes_, swiotlb_mapping),
                                copy_choice_budget)
                       .method.copy) {
        if (parts.bounce == Bounce::both) {
            gpu_slots_ = allocate_slots(parts.shared_heap, parts.layout, parts.ring,
                                        Exposure::shared, parts.exposure);
            gpu_maps_ = map_slots(gpu_slots_, Access::read);
        }
    }

    std::span<const DmaBuf> slots() const override {
        return gpu_slots_.empty() ? private_slots_ : gpu_slots_;
    }
    std::vector<const MemoryRegion*> regions() const override { return {pool_region_.get()}; }
    bool frees_slot_when_posted() const override { return true; }

    // In batches: copy a few pieces, then post them in one list, so that the NIC works on one
    // batch while the CPU copies the next.
    // Reading the CPU clock costs about a microsecond: the copies of one call are timed together,
    // with the posting between them.
    Progress advance(OutgoingFrame& frame, SendMeter& meter) override {
        const CpuTimer timer(meter.cpu_copy_ns);
        const Nanoseconds posting = frame.post_ns;
        const Nanoseconds start = now();
        const Progress progress = copy_and_post(frame, meter);
        frame.copy_ns += now() - start - (frame.post_ns - posting);
        return progress;
    }
    // Writes complete in order, and only the last of a batch says so: with it, all before it.
    void completed(const WriteTag& tag) override {
        if (!posted_.contains(tag.piece))
            return; // a completion that makes no sense
        std::uint32_t piece;
        do {
            piece = posted_.pop();
            pool_.free(piece);
        } while (piece != tag.piece);
    }

private:
    static constexpr std::size_t batch_pieces = 8;

    Progress copy_and_post(OutgoingFrame& frame, SendMeter& meter) {
        bounce_from_gpu(frame, meter);
        while (flush(frame) && frame.done < bytes_) {
            fill_batch(frame, meter);
            if (batch_size_ == 0) {
                meter.pool_waits.add();
                return Progress::blocked;
            }
        }
        return batch_size_ == 0 ? Progress::posted : Progress::blocked;
    }

    void bounce_from_gpu(OutgoingFrame& frame, SendMeter& meter) {
        if (gpu_slots_.empty() || frame.bounced)
            return;
        const CpuAccess read(gpu_slots_[frame.slot], Access::read);
        const CpuAccess write(private_slots_[frame.slot], Access::write);
        to_pool_.copy(private_maps_[frame.slot].bytes().data(),
                      gpu_maps_[frame.slot].bytes().first(bytes_), meter.copied_bytes);
        frame.bounced = true;
    }

    // Copies pieces into the pool until the batch, the frame or the pool is full.
    void fill_batch(OutgoingFrame& frame, SendMeter& meter) {
        const CpuAccess read(private_slots_[frame.slot], Access::read);
        const CpuAccess write(pool_memory_, Access::write);
        while (batch_size_ < batch_pieces && frame.done < bytes_) {
            const std::size_t length =
                std::min<std::uint64_t>(bytes_ - frame.done, swiotlb_mapping);
            const auto room = pool_.allocate(length);
            if (!room)
                return;
            to_pool_.copy(pool_map_.bytes().data() + room->offset(),
                          private_maps_[frame.slot].bytes().subspan(frame.done, length),
                          meter.copied_bytes);
            batch_[batch_size_++] = write_of(frame, *room, length);
            frame.done += length;
        }
    }

    WriteRequest write_of(const OutgoingFrame& frame, StagingPool::Allocation room,
                          std::size_t length) const {
        WriteTag tag = frame.tag;
        tag.piece = room.first_slot;
        tag.last = frame.done + length == bytes_;
        WriteRequest request;
        request.wr_id = tag.encode();
        request.local = pool_region_.get();
        request.local_offset = room.offset();
        request.length = static_cast<std::uint32_t>(length);
        request.remote_address = frame.remote.address + frame.done;
        request.rkey = frame.remote.rkey;
        request.signaled = tag.last;
        if (tag.last)
            request.immediate = frame.immediate;
        return request;
    }

    // Posts the batch; false while the send queue has no room for all of it.
    bool flush(OutgoingFrame& frame) {
        if (batch_size_ == 0)
            return true;
        const Nanoseconds start = now();
        if (frame.first_post == 0)
            frame.first_post = start;
        batch_[batch_size_ - 1].signaled = true;
        const std::size_t taken = endpoint_.post(std::span(batch_).first(batch_size_));
        for (const WriteRequest& request : std::span(batch_).first(taken))
            posted_.push(WriteTag::decode(request.wr_id).piece);
        std::move(batch_.begin() + taken, batch_.begin() + batch_size_, batch_.begin());
        batch_size_ -= taken;
        frame.post_ns += now() - start;
        return batch_size_ == 0;
    }

    Endpoint& endpoint_;
    std::uint64_t bytes_;
    std::vector<DmaBuf> private_slots_;
    std::vector<Mapping> private_maps_;
    StagingPool pool_;
    DmaBuf pool_memory_;
    Mapping pool_map_;
    std::unique_ptr<MemoryRegion> pool_region_;
    FixedQueue<std::uint32_t> posted_; // first slots of the pieces that the NIC has, in order
    Copier to_pool_;
    std::vector<DmaBuf> gpu_slots_; // Bounce::both: where the GPU draws instead
    std::vector<Mapping> gpu_maps_;

    std::array<WriteRequest, batch_pieces> batch_; // copied, not yet posted
    std::size_t batch_size_ = 0;
};

class StagingReceive final : public ReceivePath {
public:
    StagingReceive(const PathParts& parts, const ReceiveMemory& memory)
        : bytes_(parts.layout.bytes),
          memory_(memory),
          private_slots_(allocate_slots(parts.private_heap, parts.layout, parts.ring,
                                        Exposure::private_memory, parts.exposure)),
          private_maps_(map_slots(private_slots_, Access::read_write)),
          out_(fastest_copy(private_maps_[0].bytes(), memory.mappings[0].bytes(), bytes_,
                            copy_choice_budget)
                   .method.copy) {
        if (parts.bounce == Bounce::both) {
            gpu_slots_ = allocate_slots(parts.shared_heap, parts.layout, parts.ring,
                                        Exposure::shared, parts.exposure);
            gpu_maps_ = map_slots(gpu_slots_, Access::read_write);
        }
    }

    std::uint32_t last_write_bytes() const override { return last_piece(bytes_, swiotlb_mapping); }

    FrameView receive(std::uint32_t slot, ReceiveMeter& meter) override {
        const Nanoseconds start = now();
        const CpuTimer timer(meter.cpu_copy_ns);
        FrameView view = private_maps_[slot].bytes().first(bytes_);
        out_.copy(private_maps_[slot].bytes().data(), memory_.mappings[slot].bytes().first(bytes_),
                  meter.copied_bytes);
        if (!gpu_slots_.empty()) {
            out_.copy(gpu_maps_[slot].bytes().data(), view, meter.copied_bytes);
            view = gpu_maps_[slot].bytes().first(bytes_);
        }
        meter.copy_out.record(now() - start);
        return view;
    }
    std::span<const DmaBuf> frames() const override {
        return gpu_slots_.empty() ? private_slots_ : gpu_slots_;
    }

private:
    std::uint64_t bytes_;
    const ReceiveMemory& memory_;
    std::vector<DmaBuf> private_slots_;
    std::vector<Mapping> private_maps_;
    Copier out_;
    std::vector<DmaBuf> gpu_slots_; // Bounce::both: where the GPU reads the frame from
    std::vector<Mapping> gpu_maps_;
};

} // namespace

std::size_t staging_pool_bytes(const PathParts& parts) {
    std::size_t most = parts.staging.pool_bytes;
    if (most == 0)
        most = swiotlb_pool_rule(static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                                 static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)));
    return std::min(most, pieces_of(parts.layout.bytes) * parts.ring * swiotlb_mapping);
}

std::uint64_t staging_memory(const PathParts& parts) {
    const std::uint64_t slots_at_each_end = parts.bounce == Bounce::both ? 2 : 1;
    return 2 * slots_at_each_end * parts.layout.slot_bytes * parts.ring + staging_pool_bytes(parts);
}

std::unique_ptr<SendPath> make_staging_send(const PathParts& parts, Endpoint& endpoint) {
    return std::make_unique<StagingSend>(parts, endpoint);
}

std::unique_ptr<ReceivePath> make_staging_receive(const PathParts& parts,
                                                  const ReceiveMemory& memory) {
    return std::make_unique<StagingReceive>(parts, memory);
}

} // namespace clearframe
