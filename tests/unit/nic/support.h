// What the tests of NICs have in common.
#pragma once

#include "core/choice.h"
#include "memory/heap.h"
#include "nic/nic.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <future>
#include <memory>
#include <optional>
#include <ostream>
#include <span>
#include <vector>

namespace clearframe::test {

// Longer than anything takes that works.
inline constexpr Nanoseconds patience = 60'000'000'000;

// A buffer, as the program sees it and as a NIC does.
struct RegisteredBuffer {
    DmaBuf buffer;
    Mapping mapping;
    std::unique_ptr<MemoryRegion> region;

    std::span<std::byte> bytes() const { return mapping.bytes(); }
};

// Buffers of the best heap of this machine.
class Buffers {
public:
    Buffers() {
        const auto heaps = probe_heaps();
        heap_ = open_heap(heaps[choose("heap", "auto", heaps).index].name);
    }

    DmaBuf allocate(std::size_t bytes) { return heap_->allocate(bytes, Exposure::shared, meter_); }

    RegisteredBuffer make(Nic& nic, std::size_t bytes, RemoteAccess access) {
        DmaBuf buffer = allocate(bytes);
        Mapping mapping = buffer.map(Access::read_write);
        auto region = nic.register_memory(buffer, access);
        return {std::move(buffer), std::move(mapping), std::move(region)};
    }

    // One to send from, holding numbers that differ from place to place.
    RegisteredBuffer source(Nic& nic, std::size_t bytes) {
        RegisteredBuffer made = make(nic, bytes, RemoteAccess::none);
        std::uint32_t number = 12345;
        for (std::byte& byte : made.bytes()) {
            number = number * 1664525 + 1013904223;
            byte = static_cast<std::byte>(number >> 24);
        }
        return made;
    }

    RegisteredBuffer target(Nic& nic, std::size_t bytes) {
        return make(nic, bytes, RemoteAccess::write);
    }

    const Heap& heap() const { return *heap_; }

private:
    std::unique_ptr<Heap> heap_;
    ExposureMeter meter_;
};

// How two ends come to be connected.
enum class Joined {
    within, // connect_within()
    listed, // listen() on one NIC and connect_to() on another of its kind
};

inline void PrintTo(Joined joined, std::ostream* out) {
    *out << (joined == Joined::within ? "within" : "listed");
}

// What `listener` accepts, on a thread of its own; an accept() that nobody comes for ends with
// this.
class Accepting {
public:
    Accepting(Listener& listener, const ConnectionKey& key, std::uint32_t in_flight = 64)
        : end_(std::async(std::launch::async, [this, &listener, key, in_flight] {
              return listener.accept(key, in_flight, {.timeout = patience, .cancel = &cancel_});
          })) {}
    Accepting(const Accepting&) = delete;
    Accepting& operator=(const Accepting&) = delete;
    ~Accepting() { cancel_.signal(); }

    void cancel() { cancel_.signal(); }
    // Throws what accept() throws.
    std::unique_ptr<Endpoint> get() { return end_.get(); }

private:
    Event cancel_;
    std::future<std::unique_ptr<Endpoint>> end_;
};

// The sender's end is of `from`, the receiver's of `to`. Throws Error.
inline EndpointPair connect_listed(Nic& from, Nic& to, std::uint32_t in_flight) {
    const auto listener = to.listen();
    const ConnectionKey key = random_key();
    Accepting accepting(*listener, key, in_flight);
    EndpointPair ends;
    ends.sender = from.connect_to(listener->address(), key, in_flight, {.timeout = patience});
    ends.receiver = accepting.get();
    return ends;
}

// `length` bytes from one buffer's offset to another's.
inline WriteRequest write_request(std::uint64_t wr_id, const RegisteredBuffer& from,
                                  std::size_t from_offset, std::size_t length,
                                  const RegisteredBuffer& to, std::size_t to_offset,
                                  std::optional<std::uint32_t> immediate = {}) {
    WriteRequest request;
    request.wr_id = wr_id;
    request.local = from.region.get();
    request.local_offset = from_offset;
    request.length = static_cast<std::uint32_t>(length);
    request.remote_address = to.region->address() + to_offset;
    request.rkey = to.region->rkey();
    request.immediate = immediate;
    return request;
}

// A message without memory.
inline WriteRequest message(std::uint64_t wr_id, std::uint32_t immediate) {
    WriteRequest request;
    request.wr_id = wr_id;
    request.immediate = immediate;
    return request;
}

inline void post_one(Endpoint& endpoint, const WriteRequest& request) {
    ASSERT_EQ(endpoint.post({&request, 1}), 1u);
}

// The next `count` completions; fewer, and a failure, if they do not come.
inline std::vector<Completion> reap(Endpoint& endpoint, std::size_t count) {
    std::vector<Completion> all(count);
    std::size_t got = 0;
    while (got < count) {
        if (endpoint.wait(patience) != WaitResult::ready) {
            ADD_FAILURE() << "only " << got << " of " << count << " completions came";
            break;
        }
        got += endpoint.poll(std::span(all).subspan(got));
    }
    all.resize(got);
    return all;
}

inline Completion reap_one(Endpoint& endpoint) {
    const auto all = reap(endpoint, 1);
    return all.empty() ? Completion{.status = WcStatus::general_error} : all[0];
}

inline std::vector<WcStatus> statuses(std::span<const Completion> completions) {
    std::vector<WcStatus> all;
    for (const Completion& completion : completions)
        all.push_back(completion.status);
    return all;
}

inline bool same(std::span<const std::byte> a, std::span<const std::byte> b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

// Each is as the one before it: many times faster than a loop where a sanitizer looks on.
inline bool all_are(std::span<const std::byte> bytes, std::byte value) {
    return bytes.empty() ||
           (bytes.front() == value && same(bytes.first(bytes.size() - 1), bytes.subspan(1)));
}

} // namespace clearframe::test
