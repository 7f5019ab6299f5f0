// A NIC that does nothing but write down what it is asked, for tests of what asks it.
#pragma once

#include "core/error.h"
#include "nic/nic.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

namespace clearframe {

class FakeRegion final : public MemoryRegion {
public:
    explicit FakeRegion(const DmaBuf& buffer, std::uint32_t key) {
        lkey_ = rkey_ = key;
        address_ = std::uint64_t{key} << 32;
        length_ = buffer.size();
        identity_ = BufferIdentity::of(buffer.fd());
    }
};

// Posted writes are kept; completions are those that the test puts in.
class FakeEndpoint final : public Endpoint {
public:
    explicit FakeEndpoint(EndpointLimits limits = {.send_queue = 1024,
                                                   .receive_queue = 1024,
                                                   .max_message = 1u << 30})
        : Endpoint(limits) {}

    void post_receives(std::uint32_t count) override { receives += count; }
    std::size_t poll(std::span<Completion> out) override {
        const std::size_t count = std::min(out.size(), completions.size());
        std::copy_n(completions.begin(), count, out.begin());
        completions.erase(completions.begin(),
                          completions.begin() + static_cast<std::ptrdiff_t>(count));
        return count;
    }
    WaitResult wait(Nanoseconds, std::uint32_t) override {
        const bool woken = wakes.exchange(0) > 0;
        return cancelled                       ? WaitResult::cancelled
               : woken || !completions.empty() ? WaitResult::ready
                                               : WaitResult::timed_out;
    }
    void wake() override { ++wakes; }
    void cancel() override { cancelled = true; }

    std::size_t room = 1024; // writes that it still takes
    std::uint64_t receives = 0;
    std::atomic<int> wakes = 0; // since the last wait; the one member that any thread may change
    bool cancelled = false;
    std::vector<WriteRequest> posted;
    std::deque<Completion> completions;

private:
    std::size_t do_post(std::span<const WriteRequest> requests) override {
        const std::size_t count = std::min(room, requests.size());
        posted.insert(posted.end(), requests.begin(),
                      requests.begin() + static_cast<std::ptrdiff_t>(count));
        room -= count;
        return count;
    }
};

// An endpoint whose peer answers when its user goes to sleep.
class AnsweringEndpoint final : public Endpoint {
public:
    AnsweringEndpoint()
        : Endpoint({.send_queue = 64, .receive_queue = 64, .max_message = 1u << 30}) {}
    void post_receives(std::uint32_t count) override { inner.post_receives(count); }
    std::size_t poll(std::span<Completion> out) override { return inner.poll(out); }
    WaitResult wait(Nanoseconds timeout, std::uint32_t at_least) override {
        if (inner.completions.empty())
            answer(inner);
        return inner.wait(timeout, at_least);
    }
    void wake() override { inner.wake(); }
    void cancel() override { inner.cancel(); }

    FakeEndpoint inner;
    std::function<void(FakeEndpoint&)> answer = [](FakeEndpoint&) {};

private:
    std::size_t do_post(std::span<const WriteRequest> requests) override {
        return inner.post(requests);
    }
};

class FakeNic final : public Nic {
public:
    FakeNic() : Nic({.name = "fake"}) {}

    std::unique_ptr<MemoryRegion> register_memory(const DmaBuf& buffer, RemoteAccess) override {
        registered.push_back(buffer.exposure());
        return std::make_unique<FakeRegion>(buffer, static_cast<std::uint32_t>(registered.size()));
    }
    std::unique_ptr<Heap> open_heap() override {
        throw Error(Failure::unavailable, "FakeNic has no memory", {}, {});
    }
    EndpointPair connect_within(std::uint32_t) override {
        return {std::make_unique<FakeEndpoint>(), std::make_unique<FakeEndpoint>()};
    }
    std::unique_ptr<Listener> listen() override {
        throw Error(Failure::run, "FakeNic listens to nobody", {}, {});
    }
    std::unique_ptr<Endpoint> connect_to(std::string_view, const ConnectionKey&, std::uint32_t,
                                         const Patience&) override {
        throw Error(Failure::run, "FakeNic has no peers", {}, {});
    }
    double plain_gbytes_per_s(std::span<const MemoryRegion* const>,
                              std::span<const MemoryRegion* const>, Nanoseconds) override {
        return 0;
    }
    Nanoseconds emulation_cpu() const override { return 0; }

    std::vector<Exposure> registered; // of every buffer, in order
};

} // namespace clearframe
