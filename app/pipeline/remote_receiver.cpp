#include "pipeline/remote_receiver.h"

#include "core/error.h"
#include "core/units.h"

#include <fmt/format.h>

#include <algorithm>

namespace clearframe {
namespace {

using Received = ControlConnection::Received;

std::vector<const PathType*> known_paths(const Hello& hello) {
    std::vector<const PathType*> paths;
    for (const std::string& name : hello.paths)
        if (const PathType* const path = find_path(name))
            paths.push_back(path);
    return paths;
}

std::string our_paths() {
    std::string names;
    for (const PathType& type : path_types())
        names += fmt::format("{}{}", names.empty() ? "" : " ", type.name);
    return names;
}

// Where the sender does not fit this end, and what would mend it.
struct Unfit {
    Mismatch mismatch;
    std::string advice;
};

// What a meter has counted.
Result counts(const ReceiveMeter& meter) {
    return {.frames = meter.frames.get(),
            .lost = meter.lost.get(),
            .corrupt = meter.corrupt.get(),
            .rejected = meter.rejected.get(),
            .verified_pixels = meter.verified_pixels.get(),
            .copied_bytes = meter.copied_bytes.get(),
            .cpu_ns = meter.cpu_ns.get(),
            .cpu_copy_ns = meter.cpu_copy_ns.get()};
}

} // namespace

RemoteReceiver::RemoteReceiver(ControlListener::Caller caller, const SessionParts& parts,
                               const Introduction& introduction, const ReceiverOptions& options,
                               const Event& cancel)
    : options_(options),
      parts_(parts),
      control_(std::move(caller.connection)),
      hello_(std::move(caller.hello)) {
    session_.ring = hello_.ring;
    session_.seed = hello_.seed;
    session_.bounce = hello_.bounce ? Bounce::both : Bounce::nic;
    session_.paths = known_paths(hello_);
    same_host_ = hello_.host == host_identity();
    try {
        check_fit();
        answer(introduction, cancel);
    } catch (const Unfit& unfit) {
        reject({.mismatch = unfit.mismatch, .advice = unfit.advice});
        throw Error(Failure::run, fmt::format("the sender {} does not fit this receiver", sender()),
                    mismatch_text(unfit.mismatch), unfit.advice);
    } catch (const Error& error) {
        reject({.mismatch = {}, .advice = std::string(error.reason())});
        throw;
    }
}

// The receiver's thread first, then what moves bytes, then the memory.
RemoteReceiver::~RemoteReceiver() {
    control_.close_kindly();
    receive_.reset();
    endpoint_.reset();
}

void RemoteReceiver::reject(const Rejection& rejection) noexcept {
    try {
        control_.send_now(encode(rejection));
    } catch (const std::bad_alloc&) {
        // Then the sender sees that the connection is closed.
    }
    control_.close_kindly();
}

void RemoteReceiver::check_fit() const {
    const NicInfo& nic = parts_.nic.info();
    if (hello_.nic != nic.name)
        throw Unfit{{"NIC", nic.name, hello_.nic}, "Both ends take --nic of the same kind"};
    for (const std::string& path : hello_.paths)
        if (!find_path(path))
            throw Unfit{{"path", our_paths(), path}, "Leave it out with --paths"};
    if (hello_.ring < options_.least_ring)
        throw Unfit{{"ring", fmt::format("{} at least, to show frames", options_.least_ring),
                     std::to_string(hello_.ring)},
                    fmt::format("Give it send --ring {}", options_.least_ring)};
    const PathParts path_parts = make_path_parts(session_, parts_, hello_.layout, 1);
    std::uint64_t bytes = hello_.layout.slot_bytes * hello_.ring;
    for (const PathType* path : session_.paths)
        bytes += path->memory(path_parts);
    if (bytes > options_.most_memory)
        throw Unfit{{"memory", fmt::format("{} at most", bytes_text(options_.most_memory)),
                     fmt::format("frames and rings that may need {}", bytes_text(bytes))},
                    "A smaller --size or --ring, or recv --memory MIB for more"};
    check_memory(fmt::format("receiving frames of {}x{} in rings of {} needs up to {}",
                             hello_.layout.width, hello_.layout.height, hello_.ring,
                             bytes_text(bytes)),
                 bytes, Failure::run);
}

void RemoteReceiver::answer(const Introduction& introduction, const Event& cancel) {
    const Patience patience{.timeout = options_.patience, .cancel = &cancel};
    Welcome welcome;
    welcome.max_message = std::min(hello_.max_message, parts_.nic.info().max_message);
    const PathParts path_parts =
        make_path_parts(session_, parts_, hello_.layout, welcome.max_message);
    memory_ = std::make_unique<ReceiveMemory>(path_parts);
    const std::unique_ptr<Listener> listener = parts_.nic.listen();
    welcome.nic_address = listener->address();
    welcome.key = random_key();
    welcome.program = introduction.program;
    welcome.parts = {introduction.heap, introduction.nic};
    welcome.slots = memory_->remote_slots();
    control_.send(encode(welcome), patience);
    endpoint_ =
        listener->accept(welcome.key, writes_in_flight(hello_.layout, hello_.ring), patience);
    receive_.emplace(
        session_.paths, path_parts, *endpoint_, *memory_, [this] { wake_.signal(); }, same_host_);
}

void RemoteReceiver::end() noexcept {
    end_asked_ = true;
    wake_.signal();
}

void RemoteReceiver::say(std::span<const std::byte> message) {
    control_.send(message, {.timeout = options_.patience});
}

void RemoteReceiver::serve() {
    const Event* cancel = &wake_;
    std::uint64_t frames_before = 0;
    while (true) {
        ControlMessage message;
        switch (control_.receive(message, {.timeout = options_.patience, .cancel = cancel})) {
        case Received::message:
            if (!handle(message))
                return receive_->stop();
            break;
        case Received::cancelled:
            if (!end_asked_)
                end_failed(false);
            // The sender is told, and has the options' patience to bring its block to rest.
            say(encode(Bye{.reason = "it was stopped there"}));
            cancel = nullptr;
            break;
        case Received::timed_out:
            count_frames();
            if (frames_ == frames_before)
                throw Error(Failure::run, fmt::format("the sender {} has stopped", sender()),
                            fmt::format("no word and no frame for {}",
                                        duration_text(static_cast<double>(options_.patience))),
                            "A longer --timeout waits longer");
            frames_before = frames_;
            break;
        case Received::closed:
            end_failed(true);
        case Received::malformed:
            break_rules(control_.mismatch());
        }
    }
}

// A sender that is killed takes its NIC and its connection with it: either may show first, and what
// the NIC says is no more than that.
void RemoteReceiver::end_failed(bool gone) {
    std::string by_nic;
    try {
        receive_->stop();
    } catch (const Error& error) {
        ControlMessage message;
        if (!gone && control_.receive(message, {.timeout = one_second}) != Received::closed)
            throw;
        by_nic = fmt::format("; {}", error.reason());
    }
    throw Error(Failure::run, fmt::format("the sender {} has gone", sender()),
                control_.closed_by() + by_nic, "See what it says there");
}

void RemoteReceiver::break_rules(const Mismatch& mismatch) {
    reject({.mismatch = mismatch, .advice = {}});
    throw Error(Failure::run, fmt::format("the sender {} breaks the rules", sender()),
                mismatch_text(mismatch), "It is another version of the program, or broken");
}

template <typename T>
T RemoteReceiver::must(Decoded<T> decoded) {
    if (const auto* const wrong = std::get_if<Mismatch>(&decoded))
        break_rules(*wrong);
    return std::get<T>(std::move(decoded));
}

// False for a good-bye.
bool RemoteReceiver::handle(const ControlMessage& message) {
    switch (message.type) {
    case ControlType::begin:
        begin(must(decode_begin(message.payload, hello_)));
        return true;
    case ControlType::end:
        finish(must(decode_end(message.payload)));
        return true;
    case ControlType::bye:
        if (const std::string reason = must(decode_bye(message.payload)).reason; !reason.empty())
            throw Error(Failure::run, fmt::format("the sender {} ended the stream", sender()),
                        reason, "See what it says there");
        return false;
    default:
        break_rules({"message", "begin, end or bye",
                     std::to_string(static_cast<std::uint16_t>(message.type))});
    }
}

void RemoteReceiver::begin(const Begin& begin) {
    if (block_ || begin.block != next_block_)
        break_rules({"block to begin", block_ ? "none" : std::to_string(next_block_),
                     std::to_string(begin.block)});
    ++next_block_;
    receive_->set_scene(begin.scene, hello_.seed, static_cast<Verify>(begin.verify));
    block_ = present(begin);
    block_->verify = static_cast<Verify>(begin.verify);
    before_ = counts(block_->meter);
    const FrameViewer* viewer = nullptr;
    FrameTap* tap = nullptr;
    if (look_)
        look_(block_, viewer, tap);
    receive_->begin_block(begin.path, block_->meter, viewer, tap);
    say(encode(Ready{.block = begin.block}));
}

void RemoteReceiver::finish(const End& end) {
    if (!block_ || end.block + 1 != next_block_)
        break_rules({"block to end", block_ ? std::to_string(next_block_ - 1) : "none",
                     std::to_string(end.block)});
    receive_->end_block(block_->meter);
    const ThroughputMeter::Totals totals = block_->meter.throughput.block();
    if (block_->blocks.size() < ReceivedPath::most_blocks)
        block_->blocks.push_back({.index = end.block, .totals = totals});
    Result result = counts(block_->meter);
    result.block = end.block;
    result.frames -= before_.frames;
    result.lost -= before_.lost;
    result.corrupt -= before_.corrupt;
    result.rejected -= before_.rejected;
    result.verified_pixels -= before_.verified_pixels;
    result.copied_bytes -= before_.copied_bytes;
    result.cpu_ns -= before_.cpu_ns;
    result.cpu_copy_ns -= before_.cpu_copy_ns;
    result.timed_frames = totals.frames;
    result.timed_bytes = totals.bytes;
    result.time_ns = static_cast<std::uint64_t>(totals.time);
    block_.reset();
    count_frames();
    say(encode(result));
    if (on_block_)
        on_block_();
}

const std::shared_ptr<ReceivedPath>& RemoteReceiver::present(const Begin& begin) {
    for (const auto& known : received_)
        if (known->scene == begin.scene && known->path == begin.path)
            return known;
    auto& made = received_.emplace_back(std::make_shared<ReceivedPath>());
    made->scene = begin.scene;
    made->path = begin.path;
    return made;
}

bool RemoteReceiver::same_buffer(std::size_t path) const {
    const std::span<const DmaBuf> used = receive_->frames(path);
    return std::equal(used.begin(), used.end(), memory_->regions.begin(), memory_->regions.end(),
                      [](const DmaBuf& buffer, const std::unique_ptr<MemoryRegion>& region) {
                          return BufferIdentity::of(buffer.fd()) == region->identity();
                      });
}

void RemoteReceiver::count_frames() {
    std::uint64_t frames = 0;
    for (const auto& path : received_)
        frames += path->meter.frames.get();
    frames_ = frames;
}

} // namespace clearframe
