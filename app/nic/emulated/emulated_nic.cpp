#include "nic/emulated/emulated_nic.h"

#include "core/error.h"
#include "core/units.h"
#include "nic/emulated/engine.h"
#include "nic/emulated/handshake.h"

#include <fmt/format.h>

#include <errno.h>

#include <algorithm>

namespace clearframe {
namespace {

constexpr std::uint32_t most_in_flight = 1 << 18; // 64 GiB in pieces of 256 KiB
constexpr std::uint32_t least_in_flight = 16;
constexpr std::uint32_t max_message = 1 << 30; // as InfiniBand hardware has it

class EmulatedRegion final : public MemoryRegion {
public:
    EmulatedRegion(Engine& engine, const DmaBuf& buffer, RemoteAccess access) : engine_(engine) {
        identity_ = BufferIdentity::of(buffer.fd());
        memory_ = engine_.register_memory(
            Mapping(buffer.fd(), buffer.size(),
                    access == RemoteAccess::write ? Access::read_write : Access::read,
                    "NIC emulated: registering memory"),
            access, access == RemoteAccess::write ? buffer.duplicate() : UniqueFd());
        lkey_ = memory_->lkey;
        rkey_ = memory_->rkey;
        address_ = memory_->address;
        length_ = memory_->mapping.bytes().size();
    }
    EmulatedRegion(const EmulatedRegion&) = delete;
    EmulatedRegion& operator=(const EmulatedRegion&) = delete;
    ~EmulatedRegion() override { engine_.deregister_memory(*memory_); }

private:
    Engine& engine_;
    Engine::Memory memory_;
};

class EmulatedEndpoint final : public Endpoint {
public:
    EmulatedEndpoint(Engine& engine, std::shared_ptr<Connection> connection, std::size_t side,
                     std::uint32_t depth)
        : Endpoint({.send_queue = depth, .receive_queue = depth, .max_message = max_message}),
          engine_(engine),
          connection_(std::move(connection)),
          queues_(connection_->ends[side]) {}
    EmulatedEndpoint(const EmulatedEndpoint&) = delete;
    EmulatedEndpoint& operator=(const EmulatedEndpoint&) = delete;
    ~EmulatedEndpoint() override { engine_.close(*connection_, queues_); }

    void post_receives(std::uint32_t count) override {
        auto lock = engine_.lock();
        queues_.post_receives(count, engine_.due_time());
        if (queues_.is_broken())
            engine_.wake(lock);
    }

    std::size_t poll(std::span<Completion> completions) override {
        const auto lock = engine_.lock();
        return queues_.poll(completions);
    }

    WaitResult wait(Nanoseconds timeout, std::uint32_t at_least) override {
        auto lock = engine_.lock();
        return queues_.wait(lock, timeout, engine_.is_idle() ? 1 : at_least);
    }

    void wake() override {
        const auto lock = engine_.lock();
        queues_.wake();
    }

    void cancel() override {
        const auto lock = engine_.lock();
        queues_.cancel();
    }

private:
    std::size_t do_post(std::span<const WriteRequest> requests) override {
        auto lock = engine_.lock();
        const std::size_t taken = queues_.post(requests, engine_.post_time());
        if (taken > 0)
            engine_.wake(lock);
        return taken;
    }

    Engine& engine_;
    std::shared_ptr<Connection> connection_;
    QueuePair& queues_;
};

// Throws Error for what makes no sense.
std::uint32_t depth_for(std::uint32_t in_flight) {
    if (in_flight == 0 || in_flight > most_in_flight)
        throw Error(Failure::usage,
                    fmt::format("NIC emulated: connecting with {} writes in flight", in_flight), {},
                    fmt::format("It can have from 1 to {}", most_in_flight));
    return std::max(in_flight, least_in_flight);
}

class EmulatedListener final : public Listener {
public:
    explicit EmulatedListener(Engine& engine)
        : engine_(engine), socket_(emulated::listen_at_random_name(address_)) {}

    std::unique_ptr<Endpoint> accept(const ConnectionKey& key, std::uint32_t in_flight,
                                     const Patience& patience) override {
        const std::uint32_t depth = depth_for(in_flight);
        return std::make_unique<EmulatedEndpoint>(
            engine_,
            engine_.connect(
                depth, emulated::accept_peer(socket_.get(), key, engine_.writable(), patience)),
            0, depth);
    }

private:
    Engine& engine_;
    UniqueFd socket_;
};

class EmulatedNic final : public Nic {
public:
    explicit EmulatedNic(const EmulatedNicOptions& options)
        : Nic({.name = "emulated",
               .detail = describe(options),
               .emulated = true,
               .thread = Engine::thread_name,
               .max_message = max_message}),
          engine_(options) {}

    std::unique_ptr<MemoryRegion> register_memory(const DmaBuf& buffer,
                                                  RemoteAccess access) override {
        if (buffer.exposure() != Exposure::shared)
            throw_errno(EOPNOTSUPP,
                        fmt::format("NIC emulated: registering {} of private memory",
                                    bytes_text(buffer.size())),
                        "A NIC reaches only memory that is shared with the host");
        return std::make_unique<EmulatedRegion>(engine_, buffer, access);
    }

    std::unique_ptr<Heap> open_heap() override {
        throw Error(Failure::unavailable, "NIC emulated: memory of its own (heap nic)",
                    "it has no driver that allocates any", "It takes --nic verbs");
    }

    EndpointPair connect_within(std::uint32_t in_flight) override {
        const std::uint32_t depth = depth_for(in_flight);
        const auto connection = engine_.connect(depth);
        EndpointPair pair;
        pair.sender = std::make_unique<EmulatedEndpoint>(engine_, connection, 0, depth);
        pair.receiver = std::make_unique<EmulatedEndpoint>(engine_, connection, 1, depth);
        return pair;
    }

    std::unique_ptr<Listener> listen() override {
        return std::make_unique<EmulatedListener>(engine_);
    }

    std::unique_ptr<Endpoint> connect_to(std::string_view address, const ConnectionKey& key,
                                         std::uint32_t in_flight,
                                         const Patience& patience) override {
        const std::uint32_t depth = depth_for(in_flight);
        return std::make_unique<EmulatedEndpoint>(
            engine_,
            engine_.connect(depth,
                            emulated::connect_to_peer(address, key, engine_.writable(), patience)),
            0, depth);
    }

    double plain_gbytes_per_s(std::span<const MemoryRegion* const> source,
                              std::span<const MemoryRegion* const> target,
                              Nanoseconds duration) override {
        std::vector<Engine::Memory> from, to;
        for (const MemoryRegion* region : source)
            from.push_back(engine_.find_local(region->lkey()));
        for (const MemoryRegion* region : target)
            to.push_back(engine_.find_remote(region->rkey()));
        const auto writable = [](const Engine::Memory& memory) {
            return memory && memory->access == RemoteAccess::write;
        };
        if (from.empty() || to.empty() || std::count(from.begin(), from.end(), nullptr) > 0 ||
            !std::all_of(to.begin(), to.end(), writable))
            throw Error(Failure::run, "NIC emulated: measuring its plain transfer", {},
                        "It takes memory registered with this NIC, the target for writing");
        const double memory = engine_.plain_gbytes_per_s(from, to, duration);
        const double link = engine_.link_gbytes_per_s();
        return link > 0 ? std::min(memory, link) : memory;
    }

    Nanoseconds emulation_cpu() const override { return engine_.cpu(); }

private:
    Engine engine_;
};

} // namespace

std::unique_ptr<Nic> make_emulated_nic(const EmulatedNicOptions& options) {
    return std::make_unique<EmulatedNic>(options);
}

} // namespace clearframe
