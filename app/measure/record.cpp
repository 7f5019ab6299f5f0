#include "measure/record.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace clearframe {
namespace {

using Json = nlohmann::ordered_json;

// To 5 significant digits: more would be noise.
double rounded(double value) {
    std::array<char, 32> text{};
    const auto end = fmt::format_to_n(text.data(), text.size(), "{:.5g}", value).out;
    std::from_chars(text.data(), end, value);
    return value;
}

// null where there is no such number: a division by nothing, an unknown bound.
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

Json to_json(const BlockRecord& block) {
    return {
        {"index", block.index},
        {"frames", block.frames},
        {"seconds", number(block.seconds)},
        {"gbytes_per_s", number(block.gbytes_per_s)},
    };
}

Json to_json(const PathRecord& path) {
    Json stages = Json::object();
    for (const auto& [stage, median] : path.stages_us)
        stages[stage] = number(median);
    Json blocks = Json::array();
    for (const BlockRecord& block : path.blocks)
        blocks.push_back(to_json(block));
    return {
        {"path", path.path},
        {"frames", path.frames},
        {"lost", path.lost},
        {"corrupt", path.corrupt},
        {"rejected", path.rejected},
        {"gbytes_per_s",
         {{"mean", number(path.mean_gbytes_per_s)},
          {"min", number(path.min_gbytes_per_s)},
          {"p5", number(path.p5_gbytes_per_s)}}},
        {"frames_per_s", number(path.frames_per_s)},
        {"latency_us",
         {{"p50", number(path.latency_us.p50)},
          {"p99", number(path.latency_us.p99)},
          {"p99_9", number(path.latency_us.p99_9)},
          {"max", number(path.latency_us.max)}}},
        {"stages_us", std::move(stages)},
        {"cpu_ms_per_gbyte", number(path.cpu_ms_per_gbyte)},
        {"cpu_us_per_frame_own", number(path.cpu_us_per_frame_own)},
        {"copy_gbytes_per_s", number(path.copy_gbytes_per_s)},
        {"cpu_copied_bytes", path.cpu_copied_bytes},
        {"pool_waits", path.pool_waits},
        {"same_buffer", path.same_buffer},
        {"verified_pixels", path.verified_pixels},
        {"blocks", std::move(blocks)},
    };
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

Json to_json(const SceneRecord& scene) {
    Json paths = Json::array();
    for (const PathRecord& path : scene.paths)
        paths.push_back(to_json(path));
    return {
        {"scene", scene.scene},
        {"paths", std::move(paths)},
        {"comparison", scene.comparison ? to_json(*scene.comparison) : Json(nullptr)},
    };
}

} // namespace

std::vector<std::string> RunRecord::emulated() const {
    std::vector<std::string> kinds;
    for (const Part& part : parts)
        if (part.emulated && std::find(kinds.begin(), kinds.end(), part.kind) == kinds.end())
            kinds.push_back(part.kind);
    return kinds;
}

bool RunRecord::any_bad_frame() const {
    for (const SceneRecord& scene : results)
        for (const PathRecord& path : scene.paths)
            if (path.lost || path.corrupt || path.rejected)
                return true;
    return false;
}

std::string to_json(const RunRecord& record) {
    Json config = Json::object();
    for (const auto& [name, value] : record.config)
        config[name] = Json::parse(value);
    Json parts = Json::array();
    for (const Part& part : record.parts)
        parts.push_back(to_json(part));
    Json results = Json::array();
    for (const SceneRecord& scene : record.results)
        results.push_back(to_json(scene));

    const Json json{
        {"schema", "clearframe.run/1"},
        {"environment", to_json(record.environment)},
        {"config", std::move(config)},
        {"emulated", record.emulated()},
        {"parts", std::move(parts)},
        {"host_readable_bytes", record.host_readable_bytes},
        {"limits",
         {{"dma_gbytes_per_s", number(record.limits.dma_gbytes_per_s)},
          {"copy_gbytes_per_s", number(record.limits.copy_gbytes_per_s)},
          {"copy_method", record.limits.copy_method}}},
        {"results", std::move(results)},
        {"ended_early", record.ended_early},
        {"warnings", record.warnings},
    };
    // A driver's name or a refusal may hold anything: what is no UTF-8 is replaced.
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string to_csv(const RunRecord& record) {
    const std::string emulated = fmt::format("{}", fmt::join(record.emulated(), ";"));
    std::string text = "scene,path,block,frames,seconds,gbytes_per_s,emulated\n";
    for (const SceneRecord& scene : record.results)
        for (const PathRecord& path : scene.paths)
            for (const BlockRecord& block : path.blocks)
                text += fmt::format("{},{},{},{},{},{},{}\n", scene.scene, path.path, block.index,
                                    block.frames, rounded(block.seconds),
                                    rounded(block.gbytes_per_s), emulated);
    return text;
}

} // namespace clearframe
