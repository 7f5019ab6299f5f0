#include "core/finding.h"

#include <fmt/format.h>

namespace clearframe {
namespace {

// Where nobody knows better.
std::string mend_or(std::string_view mend) {
    return mend.empty() ? "dmesg may say why" : std::string(mend);
}

} // namespace

std::string_view health_name(Health health) {
    switch (health) {
    case Health::good:
        return "good";
    case Health::attention:
        return "attention";
    case Health::missing:
        break;
    }
    return "missing";
}

Finding failed(std::string subject, Health health, const Error& error) {
    return {.subject = std::move(subject),
            .health = health,
            .sentence = std::string(error.reason()),
            .mend = mend_or(error.advice())};
}

Finding not_usable(const Candidate& candidate, Health health) {
    Finding finding{.subject = candidate.name,
                    .health = health,
                    .sentence = candidate.refusal,
                    .mend = mend_or(candidate.mend)};
    if (const std::string end = ". " + candidate.mend;
        !candidate.mend.empty() && finding.sentence.ends_with(end))
        finding.sentence.resize(finding.sentence.size() - end.size());
    return finding;
}

Finding summary(std::string subject, std::string_view does, const std::vector<ImportTrial>& trials,
                std::string_view mend) {
    std::string taken;
    const ImportTrial* refused = nullptr;
    for (const ImportTrial& trial : trials) {
        if (trial.imported())
            taken += fmt::format("{}{}", taken.empty() ? "" : ", ", trial.heap);
        else if (!refused)
            refused = &trial;
    }
    Finding finding{.subject = std::move(subject)};
    if (refused || taken.empty())
        finding.mend = mend;
    if (taken.empty()) {
        finding.health = Health::missing;
        finding.sentence = refused ? fmt::format("no memory is {}: {}", does, refused->error)
                                   : fmt::format("there is no memory to be {}", does);
        return finding;
    }
    finding.health = refused ? Health::attention : Health::good;
    finding.sentence = fmt::format("memory of {} is {}", taken, does);
    if (refused)
        finding.sentence += fmt::format(", but not of {}: {}", refused->heap, refused->error);
    return finding;
}

} // namespace clearframe
