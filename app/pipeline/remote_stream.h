// A stream whose receiver is another process or host: what `send` measures.
#pragma once

#include "pipeline/control.h"
#include "pipeline/send_end.h"
#include "pipeline/stream.h"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace clearframe {

// What the two ends say of themselves in the handshake.
struct Introduction {
    std::string program;
    PeerPart heap, gpu, nic;
};

// Equal in all processes of one running kernel, whose clocks are one. Throws Error.
std::array<std::byte, 16> host_identity();

class RemoteStream final : public Stream {
public:
    // Introduces itself over `control`, connects the NICs and allocates. Blocks, each step for the
    // options' `patience` at most, or until `cancel`. Throws Error: the receiver refuses, has gone,
    // or what Session throws.
    RemoteStream(const SessionOptions& options, const SessionParts& parts,
                 const Introduction& introduction, ControlConnection control, const Event& cancel);
    ~RemoteStream() override; // says good-bye, and whether all went well
    RemoteStream(const RemoteStream&) = delete;
    RemoteStream& operator=(const RemoteStream&) = delete;

    const FrameLayout& layout() const noexcept override { return hello_.layout; }
    void set_scene(Scene scene) override;
    // `received`: what arrived by the receiver's count; throughput by its credits, on this host's
    // clock; latency from the beginning of a frame to its credit. Throws Error, besides, when the
    // receiver goes.
    void run_block(std::size_t path, const BlockPlan& plan, SendMeter& sent,
                   ReceiveMeter& received) override;
    void stop() noexcept override { send_->stop(); }
    bool stopped() const noexcept override { return send_->stopped(); }
    bool same_buffer(std::size_t path) const override { return send_->same_buffer(path); }
    LimitProbe make_limit_probe() override;

    const std::string& receiver() const noexcept { return control_.peer(); }
    const Welcome& welcome() const noexcept { return welcome_; } // what it said of itself
    // Why the receiver ended the stream, if it did so with a word. Any thread.
    std::optional<std::string> ended_by_receiver() const;

private:
    void introduce(const Introduction& introduction, const Event& cancel);
    void listen() noexcept;
    ControlMessage expect(ControlType type, const char* what);
    void say(std::span<const std::byte> message);
    [[noreturn]] void throw_gone() const;

    SessionOptions options_;
    SessionParts parts_;
    ControlConnection control_;
    Hello hello_;
    Welcome welcome_;
    std::optional<SendEnd> send_;
    std::unique_ptr<Endpoint> endpoint_; // goes before the memory that it moves
    std::uint32_t blocks_ = 0;
    bool failed_ = false; // a block did not come to rest
    Scene scene_ = Scene::none;
    std::vector<DmaBuf> copy_target_; // of the limits' plain copy

    mutable std::mutex mutex_; // guards what follows
    std::condition_variable news_;
    std::optional<ControlMessage> answer_;
    std::optional<std::string> bye_;
    std::string gone_; // how the connection ended; empty: it has not
    std::atomic<bool> leaving_{false};

    std::jthread listener_; // hears what the receiver says while frames travel
};

} // namespace clearframe
