#include "pipeline/remote_stream.h"

#include "core/error.h"
#include "core/thread.h"
#include "nic/plain_writes.h"
#include "paths/receive_memory.h"

#include <fmt/format.h>

#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <fstream>

namespace clearframe {
namespace {

using Received = ControlConnection::Received;

template <typename T>
T decoded(Decoded<T> result, const std::string& peer) {
    if (const auto* const wrong = std::get_if<Mismatch>(&result))
        throw Error(Failure::run, fmt::format("the receiver {} does not speak as agreed", peer),
                    mismatch_text(*wrong), "It is another version of the program, or broken");
    return std::get<T>(std::move(result));
}

[[noreturn]] void throw_rejected(const Rejection& rejection, const std::string& peer) {
    // Ours and theirs are the other way round, seen from here.
    const Mismatch& wrong = rejection.mismatch;
    throw Error(Failure::unavailable, fmt::format("the receiver {} refuses", peer),
                wrong.field.empty() ? std::string()
                                    : mismatch_text({wrong.field, wrong.theirs, wrong.ours}),
                rejection.advice);
}

} // namespace

// boot_id(5) is random, and new at every start of a kernel.
std::array<std::byte, 16> host_identity() {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string text;
    std::array<std::byte, 16> identity{};
    std::size_t digits = 0;
    if (std::getline(file, text))
        for (const char c : text) {
            const std::size_t digit = std::string_view("0123456789abcdef").find(c);
            if (digit == std::string_view::npos || digits == 32)
                continue;
            identity[digits / 2] |= static_cast<std::byte>(digits % 2 ? digit : digit << 4);
            ++digits;
        }
    if (digits == 32)
        return identity;
    return random_key(); // equal to nobody's
}

RemoteStream::RemoteStream(const SessionOptions& options, const SessionParts& parts,
                           const Introduction& introduction, ControlConnection control,
                           const Event& cancel)
    : options_(options), parts_(parts), control_(std::move(control)) {
    hello_.layout = parts.gpu ? parts.gpu->frame_layout(options.width, options.height)
                              : plain_frame_layout(options.width, options.height);
    introduce(introduction, cancel);
    const std::uint32_t in_flight = writes_in_flight(hello_.layout, options.ring);
    endpoint_ = parts.nic.connect_to(welcome_.nic_address, welcome_.key, in_flight,
                                     {.timeout = options.patience, .cancel = &cancel});
    const std::uint32_t max_message =
        std::min(welcome_.max_message, endpoint_->limits().max_message);
    send_.emplace(options, make_path_parts(options, parts, hello_.layout, max_message), parts.gpu,
                  *endpoint_, welcome_.slots);
    listener_ = start_thread("cf-control", [this] { listen(); });
}

RemoteStream::~RemoteStream() {
    leaving_ = true;
    control_.send_now(encode(Bye{.reason = failed_ ? "its run failed" : ""}));
    ::shutdown(control_.fd(), SHUT_RDWR);
    listener_.join();
    endpoint_.reset();
}

void RemoteStream::introduce(const Introduction& introduction, const Event& cancel) {
    hello_.ring = options_.ring;
    hello_.seed = options_.seed;
    hello_.max_message = parts_.nic.info().max_message;
    hello_.bounce = options_.bounce == Bounce::both ? 1 : 0;
    for (const PathType* path : options_.paths)
        hello_.paths.emplace_back(path->name);
    hello_.nic = parts_.nic.info().name;
    hello_.program = introduction.program;
    hello_.host = host_identity();
    hello_.parts = {introduction.heap, introduction.gpu, introduction.nic};

    const Patience patience{.timeout = options_.patience, .cancel = &cancel};
    control_.send(encode(hello_), patience);
    ControlMessage answer;
    switch (control_.receive(answer, patience)) {
    case Received::message:
        break;
    case Received::timed_out:
        throw_errno(ETIMEDOUT, fmt::format("the receiver {} does not answer", receiver()),
                    "Is it clearframe recv that listens there? A longer --timeout waits longer");
    case Received::cancelled:
        throw_errno(ECANCELED, "introducing this end to the receiver");
    case Received::malformed:
        throw Error(Failure::run,
                    fmt::format("the receiver {} does not speak as agreed", receiver()),
                    mismatch_text(control_.mismatch()),
                    "Is it clearframe recv, of this version, that listens there?");
    case Received::closed:
        gone_ = control_.closed_by();
        throw_gone();
    }
    if (answer.type == ControlType::rejection)
        throw_rejected(decoded(decode_rejection(answer.payload), receiver()), receiver());
    if (answer.type == ControlType::bye)
        throw Error(Failure::run, fmt::format("the receiver {} ended the stream", receiver()), {},
                    decoded(decode_bye(answer.payload), receiver()).reason);
    if (answer.type != ControlType::welcome)
        decoded<Welcome>(Mismatch{"message", "a welcome", "another one"}, receiver());
    welcome_ = decoded(decode_welcome(answer.payload, hello_), receiver());
}

// While frames travel the receiver may say good-bye, or go.
void RemoteStream::listen() noexcept {
    std::string gone;
    try {
        while (gone.empty()) {
            ControlMessage message;
            const Received received = control_.receive(message, {.timeout = one_hour});
            if (received == Received::closed)
                gone = control_.closed_by();
            else if (received == Received::malformed)
                gone = mismatch_text(control_.mismatch());
            if (received != Received::message)
                continue;
            const std::lock_guard lock(mutex_);
            if (message.type == ControlType::bye) {
                Decoded<Bye> bye = decode_bye(message.payload);
                const auto* const words = std::get_if<Bye>(&bye);
                bye_ = words ? words->reason : std::string();
                send_->stop();
            } else {
                answer_ = std::move(message);
            }
            news_.notify_one();
        }
    } catch (const std::exception& error) {
        gone = error.what();
    }
    const std::lock_guard lock(mutex_);
    gone_ = gone;
    // A block under way has nothing more to wait for.
    if (!leaving_)
        endpoint_->cancel();
    news_.notify_one();
}

std::optional<std::string> RemoteStream::ended_by_receiver() const {
    const std::lock_guard lock(mutex_);
    return bye_;
}

void RemoteStream::throw_gone() const {
    throw Error(Failure::run, fmt::format("the receiver {} has gone", receiver()), gone_,
                "See what it says there");
}

void RemoteStream::say(std::span<const std::byte> message) {
    control_.send(message, {.timeout = options_.patience});
}

ControlMessage RemoteStream::expect(ControlType type, const char* what) {
    std::unique_lock lock(mutex_);
    const auto has_news = [&] { return answer_ || !gone_.empty(); };
    if (!news_.wait_for(lock, std::chrono::nanoseconds(options_.patience), has_news))
        throw_errno(ETIMEDOUT, fmt::format("the receiver {} does not say {}", receiver(), what),
                    "It has stopped; a longer --timeout waits longer");
    if (!answer_)
        throw_gone();
    ControlMessage message = std::move(*answer_);
    answer_.reset();
    if (message.type == ControlType::rejection)
        throw_rejected(decoded(decode_rejection(message.payload), receiver()), receiver());
    if (message.type != type)
        decoded<Ready>(Mismatch{"message", what, "another one"}, receiver());
    return message;
}

void RemoteStream::set_scene(Scene scene) {
    scene_ = scene;
    send_->set_scene(scene);
}

void RemoteStream::run_block(std::size_t path, const BlockPlan& plan, SendMeter& sent,
                             ReceiveMeter& received) {
    const std::uint32_t block = blocks_++;
    failed_ = true; // unless this returns
    say(encode(Begin{.block = block,
                     .path = static_cast<std::uint32_t>(path),
                     .scene = scene_,
                     .verify = static_cast<std::uint32_t>(options_.verify)}));
    const auto same_block = [&](std::uint32_t theirs) {
        if (theirs != block)
            decoded<Ready>(Mismatch{"block", std::to_string(block), std::to_string(theirs)},
                           receiver());
    };
    same_block(
        decoded(decode_ready(expect(ControlType::ready, "that it is ready").payload), receiver())
            .block);
    try {
        send_->run_block(path, plan, sent, &received);
    } catch (const Error&) {
        // Without the receiver nothing completes: that is why.
        const std::lock_guard lock(mutex_);
        if (!gone_.empty())
            throw_gone();
        throw;
    }
    say(encode(End{.block = block}));
    const Result result =
        decoded(decode_result(expect(ControlType::result, "what has arrived").payload), receiver());
    same_block(result.block);
    received.frames.add(result.frames);
    received.lost.add(result.lost);
    received.corrupt.add(result.corrupt);
    received.rejected.add(result.rejected);
    received.verified_pixels.add(result.verified_pixels);
    received.copied_bytes.add(result.copied_bytes);
    received.cpu_ns.add(result.cpu_ns);
    received.cpu_copy_ns.add(result.cpu_copy_ns);
    failed_ = false;
}

// The NIC's plain transfer goes where the frames go; the CPU's plain copy stays on this host.
LimitProbe RemoteStream::make_limit_probe() {
    if (copy_target_.empty())
        copy_target_ = allocate_slots(parts_.private_heap, hello_.layout, 2,
                                      Exposure::private_memory, parts_.exposure);
    const SendPath& first = send_->path(0);
    std::vector<RemoteRange> target;
    for (const RemoteSlot& slot : welcome_.slots)
        target.push_back(
            {.address = slot.address, .length = hello_.layout.bytes, .rkey = slot.rkey});
    return LimitProbe(
        [this, from = first.regions(), to = std::move(target)](Nanoseconds duration) {
            send_->drain();
            return plain_writes(*endpoint_, from, to, duration);
        },
        first.slots(), copy_target_, hello_.layout.bytes);
}

} // namespace clearframe
