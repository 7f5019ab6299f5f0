#include "measure/json_parts.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

namespace clearframe {

double rounded(double value) {
    std::array<char, 32> text{};
    const auto end = fmt::format_to_n(text.data(), text.size(), "{:.5g}", value).out;
    std::from_chars(text.data(), end, value);
    return value;
}

Json number(double value) { return std::isfinite(value) ? Json(rounded(value)) : Json(nullptr); }

Json to_json(const Environment& environment) {
    return {
        {"program", environment.program},
        {"time", environment.time},
        {"kernel", environment.kernel},
        {"distribution", environment.distribution},
        {"cpu", environment.cpu},
        {"cores", environment.cores},
        {"memory_bytes", environment.memory_bytes},
        {"guest", environment.guest},
        {"build", environment.build},
    };
}

Json to_json(const Part& part) {
    Json refused = Json::array();
    for (const Refusal& refusal : part.refused)
        refused.push_back(Json{{"name", refusal.name}, {"reason", refusal.reason}});
    return {
        {"kind", part.kind},         {"name", part.name},           {"detail", part.detail},
        {"emulated", part.emulated}, {"emulation", part.emulation}, {"refused", std::move(refused)},
    };
}

Json to_json(const Quantiles& latency) {
    return {{"p50", number(latency.p50)},
            {"p99", number(latency.p99)},
            {"p99_9", number(latency.p99_9)},
            {"max", number(latency.max)}};
}

Json to_json(const Comparison& comparison) {
    Json json{{"baseline", comparison.baseline}};
    for (const auto& [path, interval] : comparison.paths)
        json[path] = {
            {"ratio", number(interval.ratio)},
            {"ci95", Json::array({number(interval.low), number(interval.high)})},
            {"pairs", interval.pairs},
        };
    return json;
}

Json to_json(const Limits& limits) {
    return {{"dma_gbytes_per_s", number(limits.dma_gbytes_per_s)},
            {"copy_gbytes_per_s", number(limits.copy_gbytes_per_s)},
            {"copy_method", limits.copy_method}};
}

Json stages_json(const std::map<std::string, double>& stages_us) {
    Json stages = Json::object();
    for (const auto& [stage, median] : stages_us)
        stages[stage] = number(median);
    return stages;
}

std::string json_text(const Json& json) {
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

} // namespace clearframe
