#include "measure/record.h"

#include "measure/json_parts.h"

#include <fmt/format.h>

#include <algorithm>

namespace clearframe {
namespace {

Json to_json(const BlockRecord& block) {
    return {
        {"index", block.index},
        {"frames", block.frames},
        {"seconds", number(block.seconds)},
        {"gbytes_per_s", number(block.gbytes_per_s)},
    };
}

Json to_json(const PathRecord& path) {
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
        {"latency_us", to_json(path.latency_us)},
        {"stages_us", stages_json(path.stages_us)},
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

Json to_json(const PresentRecord& shown) {
    return {
        {"card", shown.card},
        {"driver", shown.driver},
        {"connector", shown.connector},
        {"mode", {{"width", shown.width}, {"height", shown.height}, {"hz", shown.hz}}},
        {"emulated", !shown.emulation.empty()},
        {"emulation", shown.emulation},
        {"frames", shown.frames},
        {"same_buffer", shown.same_buffer},
    };
}

Json to_json(const PeerRecord& peer) {
    Json parts = Json::array();
    for (const Part& part : peer.parts)
        parts.push_back(to_json(part));
    return {
        {"role", peer.role},
        {"address", peer.address},
        {"program", peer.program},
        {"parts", std::move(parts)},
    };
}

const char* latency_name(LatencyOf latency) {
    switch (latency) {
    case LatencyOf::one_way:
        return "one-way";
    case LatencyOf::round_trip:
        return "round-trip";
    case LatencyOf::nothing:
        break;
    }
    return "none";
}

} // namespace

std::vector<std::string> RunRecord::emulated() const {
    std::vector<std::string> kinds;
    const auto add = [&](const Part& part, const std::string& whose) {
        const std::string kind = whose + part.kind;
        if (part.emulated && std::find(kinds.begin(), kinds.end(), kind) == kinds.end())
            kinds.push_back(kind);
    };
    for (const Part& part : parts)
        add(part, "");
    if (peer)
        for (const Part& part : peer->parts)
            add(part, peer->role + " ");
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
        {"role", record.role},
        {"peer", record.peer ? to_json(*record.peer) : Json(nullptr)},
        {"latency", latency_name(record.latency)},
        {"environment", to_json(record.environment)},
        {"config", std::move(config)},
        {"emulated", record.emulated()},
        {"parts", std::move(parts)},
        {"host_readable_bytes", record.host_readable_bytes},
        {"limits", to_json(record.limits)},
        {"results", std::move(results)},
        {"presented", record.presented ? to_json(*record.presented) : Json(nullptr)},
        {"ended_early", record.ended_early},
        {"warnings", record.warnings},
    };
    return json_text(json);
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
