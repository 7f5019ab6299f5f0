#include "core/choice.h"

#include "core/error.h"

#include <fmt/format.h>

namespace clearframe {

Choice choose(std::string_view kind, std::string_view requested,
              std::span<const Candidate> candidates) {
    Choice choice;
    choice.by_name = !requested.empty() && requested != "auto";
    std::string names = "auto";
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const Candidate& candidate = candidates[i];
        names += fmt::format(", {}", candidate.name);
        const bool wanted = !choice.by_name || candidate.name == requested;
        if (wanted && candidate.usable) {
            choice.index = i;
            return choice;
        }
        if (choice.by_name && wanted)
            throw Error(Failure::unavailable,
                        fmt::format("{} {} cannot be used", kind, candidate.name),
                        candidate.refusal, {});
        if (!choice.by_name)
            choice.refused.push_back({candidate.name, candidate.refusal});
    }
    if (choice.by_name)
        throw Error(Failure::usage, fmt::format("there is no {} '{}'", kind, requested), {},
                    fmt::format("Known here: {}", names));

    std::string reasons;
    for (const Refusal& refusal : choice.refused)
        reasons +=
            fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", refusal.name, refusal.reason);
    throw Error(Failure::unavailable, fmt::format("no {} can be used", kind), reasons, {});
}

} // namespace clearframe
