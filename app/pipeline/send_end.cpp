#include "pipeline/send_end.h"

namespace clearframe {

SendEnd::SendEnd(const SessionOptions& options, const PathParts& parts, Gpu* gpu,
                 Endpoint& endpoint, std::span<const RemoteSlot> remote)
    : layout_(parts.layout),
      seed_(options.seed),
      gpu_(gpu),
      sender_(endpoint, remote, options.patience) {
    for (const PathType* type : options.paths) {
        Path& path = paths_.emplace_back();
        path.send = type->make_send(parts, endpoint);
        path.ring = std::make_unique<Ring>(parts.ring);
    }
}

void SendEnd::set_scene(Scene scene) {
    for (Path& path : paths_) {
        path.source.reset();
        if (gpu_) {
            path.source = gpu_->make_source(path.send->slots(), layout_, scene, seed_);
            const auto imported = gpu_->imported();
            path.drawn.assign(imported.begin(), imported.end());
        } else {
            path.source = make_static_source(path.send->slots(), layout_, seed_);
            path.drawn.clear();
            for (const DmaBuf& slot : path.send->slots())
                path.drawn.push_back(slot.identity());
        }
    }
}

void SendEnd::run_block(std::size_t path, const BlockPlan& plan, SendMeter& sent,
                        ReceiveMeter* credited) {
    sender_.run_block({.path = *paths_[path].send,
                       .source = *paths_[path].source,
                       .ring = *paths_[path].ring,
                       .meter = sent,
                       .credited = credited},
                      plan);
}

bool SendEnd::same_buffer(std::size_t path) const {
    std::vector<BufferIdentity> heap;
    for (const DmaBuf& slot : paths_[path].send->slots())
        heap.push_back(BufferIdentity::of(slot.fd()));
    std::vector<BufferIdentity> sent;
    for (const MemoryRegion* region : paths_[path].send->regions())
        sent.push_back(region->identity());
    return heap == paths_[path].drawn && heap == sent;
}

} // namespace clearframe
