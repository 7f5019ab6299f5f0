#include "pipeline/receive_end.h"

#include "core/thread.h"

#include <utility>

namespace clearframe {

ReceiveEnd::ReceiveEnd(std::span<const PathType* const> paths, const PathParts& parts,
                       Endpoint& endpoint, const ReceiveMemory& memory,
                       std::function<void()> on_failure, bool same_clock)
    : layout_(parts.layout),
      endpoint_(endpoint),
      same_clock_(same_clock),
      on_failure_(std::move(on_failure)),
      receiver_(endpoint, memory) {
    for (const PathType* type : paths)
        paths_.push_back(type->make_receive(parts, memory));
}

ReceiveEnd::~ReceiveEnd() {
    endpoint_.cancel();
    if (thread_.joinable())
        thread_.join();
}

void ReceiveEnd::set_scene(Scene scene, std::uint32_t seed, Verify verify) {
    for (const KnownVerifier& known : verifiers_)
        if (known.scene == scene && known.seed == seed && known.verify == verify) {
            verifier_ = known.verifier.get();
            return;
        }
    verifiers_.push_back(
        {scene, seed, verify, std::make_unique<Verifier>(layout_, scene, seed, verify)});
    verifier_ = verifiers_.back().verifier.get();
}

void ReceiveEnd::begin_block(std::size_t path, ReceiveMeter& meter, const FrameViewer* viewer,
                             FrameTap* tap) {
    meter.throughput.start_block();
    receiver_.set_lane({.path = paths_[path].get(),
                        .verifier = verifier_,
                        .meter = &meter,
                        .viewer = viewer,
                        .tap = tap,
                        .same_clock = same_clock_});
    if (!thread_.joinable()) {
        thread_ = start_thread("cf-receiver", [this] { receive(); });
        pthread_getcpuclockid(thread_.native_handle(), &clock_);
    }
    cpu_before_ = read_clock(clock_);
}

void ReceiveEnd::end_block(ReceiveMeter& meter) {
    meter.cpu_ns.add(static_cast<std::uint64_t>(read_clock(clock_) - cpu_before_));
}

void ReceiveEnd::stop() {
    endpoint_.cancel();
    if (thread_.joinable())
        thread_.join();
    if (failure_)
        std::rethrow_exception(failure_);
}

void ReceiveEnd::receive() noexcept {
    try {
        receiver_.run();
    } catch (...) {
        failure_ = std::current_exception();
        on_failure_();
    }
}

} // namespace clearframe
