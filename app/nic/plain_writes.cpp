#include "nic/plain_writes.h"

#include "core/error.h"

#include <algorithm>
#include <array>

namespace clearframe {
double plain_writes(Endpoint& endpoint, std::span<const MemoryRegion* const> source,
                    std::span<const RemoteRange> target, Nanoseconds duration) {
    constexpr std::size_t in_flight = 8;
    constexpr Nanoseconds patience = 10'000'000'000;
    std::array<std::uint32_t, in_flight> lengths{};
    std::array<Completion, in_flight> completions;
    std::uint64_t posted = 0, done = 0, bytes = 0;
    const Nanoseconds start = now();
    Nanoseconds time = 0;
    while (time < duration || done < posted || posted == 0) {
        while ((time < duration || posted == 0) && posted - done < in_flight) {
            const MemoryRegion& from = *source[posted % source.size()];
            const RemoteRange& to = target[posted % target.size()];
            WriteRequest request;
            request.local = &from;
            request.length = static_cast<std::uint32_t>(
                std::min<std::uint64_t>({from.length(), to.length, endpoint.limits().max_message}));
            request.remote_address = to.address;
            request.rkey = to.rkey;
            if (endpoint.post({&request, 1}) == 0)
                break;
            lengths[posted++ % in_flight] = request.length;
        }
        if (endpoint.wait(patience) != WaitResult::ready)
            throw Error(Failure::run, "measuring the NIC's plain transfer",
                        "nothing completed for 10 s", "Is the link up?");
        for (const Completion& completion :
             std::span(completions).first(endpoint.poll(completions))) {
            if (completion.status != WcStatus::success)
                throw Error(Failure::run, "measuring the NIC's plain transfer",
                            wc_status_text(completion.status), {});
            bytes += lengths[done++ % in_flight];
        }
        time = now() - start;
    }
    return static_cast<double>(bytes) / static_cast<double>(time);
}
} // namespace clearframe
