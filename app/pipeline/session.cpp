#include "pipeline/session.h"

#include "core/units.h"
#include "paths/staging.h"

#include <fmt/format.h>

#include <algorithm>

namespace clearframe {
namespace {

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
    const PathParts path_parts =
        make_path_parts(options, parts, layout_,
                        std::min(endpoints_.sender->limits().max_message,
                                 endpoints_.receiver->limits().max_message));
    check_memory_for(path_parts, options.paths);
    receive_memory_ = std::make_unique<ReceiveMemory>(path_parts);
    receive_.emplace(options.paths, path_parts, *endpoints_.receiver, *receive_memory_,
                     [this] { endpoints_.sender->cancel(); });
    send_.emplace(options, path_parts, parts.gpu, *endpoints_.sender,
                  receive_memory_->remote_slots());
    for (const PathType* type : options.paths)
        if (type->name == baseline_path)
            staging_pool_bytes_ = clearframe::staging_pool_bytes(path_parts);
}

Session::~Session() {
    // Frames that are still looked at give back nothing from here on.
    receive_.reset();
    // After a failure work may still be under way: end it before the memory goes.
    endpoints_ = {};
}

void Session::set_verify(Verify verify) {
    options_.verify = verify;
    receive_->set_scene(scene_, options_.seed, verify);
}

void Session::set_scene(Scene scene) {
    scene_ = scene;
    set_verify(options_.verify);
    send_->set_scene(scene);
}

void Session::run_block(std::size_t path, const BlockPlan& plan, SendMeter& sent,
                        ReceiveMeter& received) {
    run_block(path, plan, sent, received, nullptr, taps_ ? taps_(path) : nullptr);
}

void Session::run_block(std::size_t path, const BlockPlan& plan, SendMeter& sent,
                        ReceiveMeter& received, const FrameViewer* viewer, FrameTap* tap) {
    receive_->begin_block(path, received, viewer, tap);
    try {
        send_->run_block(path, plan, sent);
    } catch (...) {
        receive_->stop(); // if the receiver has failed, that is why the sender did
        throw;
    }
    receive_->end_block(received);
}

LimitProbe Session::make_limit_probe() {
    const SendPath& first = send_->path(0);
    return LimitProbe(parts_.nic, first.regions(), first.slots(),
                      pointers(receive_memory_->regions), receive_memory_->buffers, layout_.bytes);
}

} // namespace clearframe
