// A peer in a process of its own, to be killed: connects an emulated NIC to ADDRESS with KEY.
//
//   peer_probe ADDRESS KEY write REMOTE_ADDRESS RKEY LENGTH   writes there, over and over
//   peer_probe ADDRESS KEY receive                            prints where it can be written
#include "memory/heap.h"
#include "nic/nic.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

using namespace clearframe;

namespace {

constexpr Nanoseconds limit = 60'000'000'000;
constexpr std::size_t bytes = 8 << 20;

ConnectionKey key_of(std::string_view digits) {
    ConnectionKey key;
    for (std::size_t i = 0; i < key.size(); ++i)
        key[i] = static_cast<std::byte>(
            std::strtoul(std::string(digits.substr(2 * i, 2)).c_str(), nullptr, 16));
    return key;
}

void write_on_and_on(Endpoint& end, const MemoryRegion& source, char** target) {
    WriteRequest request;
    request.local = &source;
    request.remote_address = std::strtoull(target[0], nullptr, 0);
    request.rkey = static_cast<std::uint32_t>(std::strtoul(target[1], nullptr, 0));
    request.length = static_cast<std::uint32_t>(std::strtoul(target[2], nullptr, 0));
    std::vector<Completion> done(16);
    do {
        for (const Completion& completion : std::span(done).first(end.poll(done)))
            if (completion.status != WcStatus::success)
                return;
        end.post({&request, 1});
    } while (end.wait(limit) == WaitResult::ready);
}

// Says where it can be written, and waits to be killed.
void receive(const MemoryRegion& target) {
    std::printf("%llu %u\n", static_cast<unsigned long long>(target.address()), target.rkey());
    std::fflush(stdout);
    for (;;)
        ::pause();
}

} // namespace

int main(int count, char** arguments) {
    try {
        if (count < 4)
            return 2;
        ExposureMeter meter;
        const auto heap = open_heap("memfd");
        const DmaBuf buffer = heap->allocate(bytes, Exposure::shared, meter);
        const auto nic = open_nic("emulated");
        const bool writes = std::string_view(arguments[3]) == "write";
        const auto region =
            nic->register_memory(buffer, writes ? RemoteAccess::none : RemoteAccess::write);
        const auto end =
            nic->connect_to(arguments[1], key_of(arguments[2]), 16, {.timeout = limit});
        if (writes && count == 7)
            write_on_and_on(*end, *region, arguments + 4);
        else
            receive(*region);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "peer_probe: %s\n", error.what());
        return 1;
    }
}
