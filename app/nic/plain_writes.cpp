#include "nic/plain_writes.h"

#include "core/error.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace clearframe {
namespace {

constexpr std::uint64_t in_flight = 8;
constexpr Nanoseconds patience = 10'000'000'000;

[[noreturn]] void fail(std::string_view native, std::string_view advice) {
    throw Error(Failure::run, "NIC: measuring its plain transfer", native, advice);
}

class PlainWrites {
public:
    PlainWrites(Endpoint& endpoint, std::span<const MemoryRegion* const> source,
                std::span<const RemoteRange> target)
        : endpoint_(endpoint),
          source_(source),
          target_(target),
          room_(std::min<std::uint64_t>(in_flight, endpoint.limits().send_queue)) {
        if (source.empty() || target.empty() || room_ == 0)
            fail({}, "It takes memory registered with this NIC, the target for writing");
    }

    double run(Nanoseconds duration) {
        const std::uint64_t least = std::max(source_.size(), target_.size());
        const Nanoseconds start = now();
        Nanoseconds time = 0;
        do {
            while (posted_ - done_ < room_ && (posted_ < least || time < duration))
                post();
            reap();
            time = now() - start;
        } while (posted_ < least || time < duration || done_ < posted_);
        return static_cast<double>(bytes_) / static_cast<double>(std::max<Nanoseconds>(time, 1));
    }

private:
    void post() {
        const MemoryRegion& from = *source_[posted_ % source_.size()];
        const RemoteRange& to = target_[posted_ % target_.size()];
        WriteRequest request;
        request.wr_id = posted_;
        request.local = &from;
        request.length = static_cast<std::uint32_t>(
            std::min<std::uint64_t>({from.length(), to.length, endpoint_.limits().max_message}));
        request.remote_address = to.address;
        request.rkey = to.rkey;
        request.spread = true;
        if (endpoint_.post({&request, 1}) != 1)
            fail("its send queue is full", {});
        lengths_[posted_ % in_flight] = request.length;
        ++posted_;
    }

    void reap() {
        switch (endpoint_.wait(patience)) {
        case WaitResult::ready:
            break;
        case WaitResult::timed_out:
            fail("nothing completed for 10 s", "Is the link up?");
        case WaitResult::cancelled:
            fail("cancelled", {});
        }
        for (const Completion& completion :
             std::span(completions_).first(endpoint_.poll(completions_))) {
            if (completion.status != WcStatus::success)
                fail(wc_status_text(completion.status),
                     "It takes memory registered with this NIC, the target for writing");
            if (completion.opcode != WcOpcode::rdma_write || completion.wr_id != done_)
                fail("a completion that was not waited for", {});
            bytes_ += lengths_[done_ % in_flight];
            ++done_;
        }
    }

    Endpoint& endpoint_;
    std::span<const MemoryRegion* const> source_;
    std::span<const RemoteRange> target_;
    std::uint64_t room_;
    std::uint64_t posted_ = 0, done_ = 0; // writes
    std::uint64_t bytes_ = 0;
    std::array<std::uint32_t, in_flight> lengths_{}; // of the writes under way
    std::array<Completion, in_flight> completions_;
};

} // namespace

double plain_writes(Endpoint& endpoint, std::span<const MemoryRegion* const> source,
                    std::span<const RemoteRange> target, Nanoseconds duration) {
    return PlainWrites(endpoint, source, target).run(duration);
}

} // namespace clearframe
