#include "commands/peer.h"

#include <algorithm>

namespace clearframe {

Introduction introduction_of(const RunRecord& record) {
    Introduction introduction{.program = record.environment.program};
    for (const Part& part : record.parts) {
        PeerPart said{part.name, part.detail, part.emulated ? part.emulation : std::string()};
        if (part.emulated && said.emulation.empty())
            said.emulation = "emulated";
        (part.kind == "heap"  ? introduction.heap
         : part.kind == "gpu" ? introduction.gpu
                              : introduction.nic) = said;
    }
    return introduction;
}

std::vector<Part> peer_parts(std::initializer_list<const char*> kinds,
                             std::span<const PeerPart> parts) {
    std::vector<Part> result;
    for (std::size_t i = 0; i < std::min(kinds.size(), parts.size()); ++i)
        if (!parts[i].name.empty())
            result.push_back({.kind = kinds.begin()[i],
                              .name = parts[i].name,
                              .detail = parts[i].detail,
                              .emulated = !parts[i].emulation.empty(),
                              .emulation = parts[i].emulation,
                              .refused = {}});
    return result;
}

} // namespace clearframe
