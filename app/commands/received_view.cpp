#include "commands/received_view.h"

#include "commands/path_run.h"
#include "core/error.h"
#include "pipeline/verifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace clearframe {
ReceivedView::ReceivedView(FrameViews& views, const RunRecord& about, std::string listening,
                           bool keeps)
    : views_(views),
      after_(keeps ? fmt::format("listening on {}", listening) : "the sender has gone") {
    about_.state = DemoState::waiting;
    about_.progress = fmt::format("listening on {}", listening);
    about_.environment = about.environment;
    about_.parts = about.parts;
    about_.receiving = ReceivingEnd{.listening = std::move(listening)};
}

void ReceivedView::begin(const RemoteReceiver& receiver, const std::vector<Part>& sender,
                         const ExposureMeter& exposure) {
    const Hello& hello = receiver.hello();
    std::vector<Path> paths;
    std::vector<Looked> looked;
    std::string trouble;
    for (std::size_t i = 0; i < hello.paths.size(); ++i) {
        paths.push_back({.name = hello.paths[i], .same_buffer = receiver.same_buffer(i)});
        Looked& look = looked.emplace_back();
        try {
            look.slots = views_.import(receiver.frames(i), hello.layout);
        } catch (const Error& error) {
            trouble = fmt::format("received frames cannot be shown: {}", error.what());
        }
    }
    {
        const std::lock_guard lock(looking_);
        looked_ = std::move(looked);
    }
    const std::lock_guard lock(mutex_);
    paths_ = std::move(paths);
    block_.reset();
    exposure_ = &exposure;
    about_.state = DemoState::running;
    about_.progress.clear();
    about_.trouble = std::move(trouble);
    about_.settings = {.paths = hello.paths,
                       .width = hello.layout.width,
                       .height = hello.layout.height,
                       .scene = std::string(scene_name(Scene::none)),
                       .verify = std::string(verify_name(Verify::off)),
                       .ring = hello.ring};
    about_.asked = about_.settings;
    about_.stride = hello.layout.stride;
    about_.frame_bytes = hello.layout.bytes;
    about_.seed = hello.seed;
    about_.receiving->sender = receiver.sender();
    about_.receiving->program = hello.program;
    about_.receiving->parts = sender;
    std::erase_if(about_.parts, [](const Part& part) { return part.kind == "gpu"; });
    for (const Part& part : sender)
        if (part.kind == "gpu")
            about_.parts.push_back(part);
}

FrameTap* ReceivedView::begin_block(std::shared_ptr<const ReceivedPath> block) {
    const std::size_t path = block->path;
    {
        const std::lock_guard lock(mutex_);
        const std::string scene(scene_name(block->scene));
        if (about_.settings.scene != scene)
            for (Path& each : paths_) {
                each.received.reset();
                each.recent = {};
                each.cpu_ms_per_gbyte = 0;
            }
        about_.settings.scene = scene;
        about_.settings.verify = verify_name(block->verify);
        about_.asked = about_.settings;
        block_ = Block{.path = path, .begun = now(), .before = block->meter.throughput.total()};
        paths_[path].received = std::move(block);
    }
    Looked& look = looked_[path];
    return look.slots ? look.tap.get() : nullptr;
}

void ReceivedView::end_block() {
    const Nanoseconds ended = now();
    const std::lock_guard lock(mutex_);
    Path& path = paths_[block_->path];
    const ReceiveMeter& meter = path.received->meter;
    const Totals moved = meter.throughput.total() - block_->before;
    path.recent.add(moved);
    path.history.add(block_->begun, ended, moved);
    path.cpu_ms_per_gbyte = cpu_ms_per_gbyte(meter, about_.frame_bytes);
    block_.reset();
}

void ReceivedView::end() {
    {
        const std::lock_guard lock(looking_);
        for (Looked& look : looked_)
            look.slots.reset();
    }
    const std::lock_guard lock(mutex_);
    about_.state = DemoState::waiting;
    about_.progress = after_;
    exposure_ = nullptr;
    block_.reset();
}

void ReceivedView::say(std::string trouble) {
    const std::lock_guard lock(mutex_);
    about_.trouble = std::move(trouble);
}

// The lock is held for as long as some histograms take to read: begin_block() and end_block() may
// wait for that, frames do not.
Snapshot ReceivedView::snapshot() const {
    const std::lock_guard lock(mutex_);
    Snapshot snapshot = about_;
    const Nanoseconds time = now();
    snapshot.time_s = static_cast<double>(time - started_) / 1e9;
    snapshot.host_readable_bytes = exposure_ ? exposure_->now_bytes() : 0;
    for (std::size_t i = 0; i < paths_.size(); ++i) {
        const Path& known = paths_[i];
        PathSnapshot& path = snapshot.paths.emplace_back();
        path.name = known.name;
        path.same_buffer = known.same_buffer;
        path.running = block_ && block_->path == i;
        path.cpu_ms_per_gbyte = known.cpu_ms_per_gbyte;
        RateHistory history = known.history;
        Totals recent = known.recent.sum();
        if (known.received) {
            const ReceiveMeter& meter = known.received->meter;
            if (path.running) {
                const Totals so_far = meter.throughput.total() - block_->before;
                history.add(block_->begun, time, so_far);
                recent = recent + so_far;
            }
            path.frames = meter.frames.get();
            path.lost = meter.lost.get();
            path.corrupt = meter.corrupt.get();
            path.rejected = meter.rejected.get();
            if (about_.settings.verify != verify_name(Verify::off))
                path.verified = path.frames - std::min(path.frames, path.corrupt);
            path.cpu_copied_bytes = meter.copied_bytes.get();
            path.latency_us = quantiles(meter.latency);
            path.stages_us = receive_stages(meter);
        }
        path.gbytes_per_s = recent.gbytes_per_s();
        path.frames_per_s = recent.frames_per_s();
        path.history = history.rates(time);
    }
    return snapshot;
}

void ReceivedView::draw_frames(Snapshot& snapshot) {
    const std::lock_guard lock(looking_);
    for (std::size_t i = 0; i < std::min(looked_.size(), snapshot.paths.size()); ++i) {
        Looked& look = looked_[i];
        if (look.slots)
            if (const HeldFrame frame = look.tap->take()) {
                views_.draw(i, *look.slots, frame.slot());
                look.shown = frame.sequence();
            }
        snapshot.paths[i].shown = look.shown;
    }
}

} // namespace clearframe
