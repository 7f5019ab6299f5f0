#include "pipeline/session.h"

#include "core/error.h"
#include "core/thread.h"
#include "core/units.h"
#include "paths/staging.h"

#include <fmt/format.h>

#include <algorithm>

namespace clearframe {
namespace {

// Writes that may be outstanding: every frame of a full ring in pieces, and a message for each. For
// very large frames fewer: with so many under way, waiting for one of them costs nothing.
std::uint32_t writes_in_flight(const FrameLayout& layout, std::uint32_t ring) {
    const std::uint64_t pieces = layout.bytes / swiotlb_mapping + 2;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(pieces * ring, 16384));
}

// Before the first slot is allocated, not after most of them.
void check_memory_for(const PathParts& parts, std::span<const PathType* const> paths) {
    std::uint64_t bytes = parts.layout.slot_bytes * parts.ring; // the receiver's
    for (const PathType* path : paths)
        bytes += path->memory(parts);
    check_memory(fmt::format("frames of {}x{} in rings of {} need {}", parts.layout.width,
                             parts.layout.height, parts.ring, bytes_text(bytes)),
                 bytes, Failure::unavailable);
}

} // namespace

Session::Session(const SessionOptions& options, const SessionParts& parts)
    : options_(options),
      parts_(parts),
      layout_(parts.gpu ? parts.gpu->frame_layout(options.width, options.height)
                        : plain_frame_layout(options.width, options.height)),
      endpoints_(parts.nic.connect_within(writes_in_flight(layout_, options.ring))) {
    const PathParts path_parts{
        .shared_heap = parts.shared_heap,
        .private_heap = parts.private_heap,
        .nic = parts.nic,
        .exposure = parts.exposure,
        .layout = layout_,
        .ring = options.ring,
        .max_message = std::min(endpoints_.sender->limits().max_message,
                                endpoints_.receiver->limits().max_message),
        .staging = options.staging,
        .bounce = options.bounce,
    };
    check_memory_for(path_parts, options.paths);
    receive_memory_ = std::make_unique<ReceiveMemory>(path_parts);
    for (const PathType* type : options.paths) {
        Path& path = paths_.emplace_back();
        path.send = type->make_send(path_parts, *endpoints_.sender);
        path.receive = type->make_receive(path_parts, *receive_memory_);
        path.ring = std::make_unique<Ring>(options.ring);
        if (type->name == baseline_path)
            staging_pool_bytes_ = clearframe::staging_pool_bytes(path_parts);
    }
    receiver_ = std::make_unique<Receiver>(*endpoints_.receiver, *receive_memory_);
    sender_ = std::make_unique<Sender>(*endpoints_.sender, receive_memory_->remote_slots(),
                                       options.patience);
}

Session::~Session() {
    endpoints_.receiver->cancel();
    if (receive_thread_.joinable())
        receive_thread_.join();
    // Frames that are still looked at give back nothing from here on.
    receiver_.reset();
    // After a failure work may still be under way: end it before the memory goes.
    endpoints_ = {};
}

void Session::set_verify(Verify verify) {
    options_.verify = verify;
    verifier_ = std::make_unique<Verifier>(layout_, scene_, options_.seed, verify);
}

void Session::set_scene(Scene scene) {
    scene_ = scene;
    set_verify(options_.verify);
    for (Path& path : paths_) {
        path.source.reset();
        if (parts_.gpu) {
            path.source =
                parts_.gpu->make_source(path.send->slots(), layout_, scene, options_.seed);
            const auto imported = parts_.gpu->imported();
            path.drawn.assign(imported.begin(), imported.end());
        } else {
            path.source = make_static_source(path.send->slots(), layout_, options_.seed);
            path.drawn.clear();
            for (const DmaBuf& slot : path.send->slots())
                path.drawn.push_back(slot.identity());
        }
    }
}

void Session::run_block(std::size_t path, const BlockPlan& plan, SendMeter& sent,
                        ReceiveMeter& received, const FrameViewer* viewer, FrameTap* tap) {
    received.throughput.start_block();
    receiver_->set_lane({.path = paths_[path].receive.get(),
                         .verifier = verifier_.get(),
                         .meter = &received,
                         .viewer = viewer,
                         .tap = tap});
    if (!receive_thread_.joinable()) {
        receive_thread_ = start_thread("cf-receiver", [this] { receive(); });
        pthread_getcpuclockid(receive_thread_.native_handle(), &receive_clock_);
    }
    const Nanoseconds receive_cpu = read_clock(receive_clock_);
    try {
        sender_->run_block({.path = *paths_[path].send,
                            .source = *paths_[path].source,
                            .ring = *paths_[path].ring,
                            .meter = sent},
                           plan);
    } catch (...) {
        // If the receiver has failed, that is why the sender did.
        endpoints_.receiver->cancel();
        receive_thread_.join();
        if (receive_failure_)
            std::rethrow_exception(receive_failure_);
        throw;
    }
    received.cpu_ns.add(static_cast<std::uint64_t>(read_clock(receive_clock_) - receive_cpu));
}

void Session::receive() noexcept {
    try {
        receiver_->run();
    } catch (...) {
        receive_failure_ = std::current_exception();
        endpoints_.sender->cancel();
    }
}

bool Session::same_buffer(std::size_t path) const {
    std::vector<BufferIdentity> heap;
    for (const DmaBuf& slot : paths_[path].send->slots())
        heap.push_back(BufferIdentity::of(slot.fd()));
    std::vector<BufferIdentity> sent;
    for (const MemoryRegion* region : paths_[path].send->regions())
        sent.push_back(region->identity());
    return heap == paths_[path].drawn && heap == sent;
}

LimitProbe Session::make_limit_probe() const {
    const SendPath& first = *paths_.front().send;
    return LimitProbe(parts_.nic, first.regions(), first.slots(),
                      pointers(receive_memory_->regions), receive_memory_->buffers, layout_.bytes);
}

} // namespace clearframe
