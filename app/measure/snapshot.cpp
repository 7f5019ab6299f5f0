#include "measure/snapshot.h"

#include "core/error.h"
#include "measure/json_parts.h"
#include "measure/json_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace clearframe {
namespace {

constexpr std::string_view snapshot_schema = "clearframe.snapshot/1";
constexpr std::string_view advice = "Make it with clearframe demo --record";
constexpr std::array<std::string_view, 5> state_names = {"starting", "running", "paused", "failed",
                                                         "waiting"};

Json to_json(const DemoSettings& settings) {
    return {
        {"paths", settings.paths},   {"interleaved", settings.interleaved},
        {"width", settings.width},   {"height", settings.height},
        {"scene", settings.scene},   {"verify", settings.verify},
        {"ring", settings.ring},     {"nic_gbits_per_s", number(settings.nic_gbits_per_s)},
        {"paused", settings.paused},
    };
}

Json to_json(const DemoChoices& choices) {
    return {
        {"paths", choices.paths},           {"scenes", choices.scenes},
        {"least_ring", choices.least_ring}, {"most_ring", choices.most_ring},
        {"nic_rate", choices.nic_rate},
    };
}

Json to_json(const PathSnapshot& path) {
    Json history = Json::array();
    for (const std::optional<float> rate : path.history)
        history.push_back(rate ? number(double{*rate}) : Json(nullptr));
    return {
        {"name", path.name},
        {"running", path.running},
        {"frames", path.frames},
        {"verified", path.verified},
        {"lost", path.lost},
        {"corrupt", path.corrupt},
        {"rejected", path.rejected},
        {"cpu_copied_bytes", path.cpu_copied_bytes},
        {"same_buffer", path.same_buffer},
        {"gbytes_per_s", number(path.gbytes_per_s)},
        {"frames_per_s", number(path.frames_per_s)},
        {"latency_us", clearframe::to_json(path.latency_us)},
        {"stages_us", stages_json(path.stages_us)},
        {"cpu_ms_per_gbyte", number(path.cpu_ms_per_gbyte)},
        {"pool_bytes", path.pool_bytes},
        {"shown", path.shown ? Json(*path.shown) : Json(nullptr)},
        {"history", std::move(history)},
    };
}

Json to_json(const PanelCost& cost) {
    return {
        {"frames_per_s", number(cost.frames_per_s)},
        {"panel_ms", number(cost.panel_ms)},
        {"draw_ms", number(cost.draw_ms)},
    };
}

Json parts_json(const std::vector<Part>& parts) {
    Json json = Json::array();
    for (const Part& part : parts)
        json.push_back(clearframe::to_json(part));
    return json;
}

Json to_json(const ReceivingEnd& end) {
    return {
        {"listening", end.listening},
        {"sender", end.sender},
        {"program", end.program},
        {"parts", parts_json(end.parts)},
    };
}

constexpr std::size_t most_paths = 16;
constexpr std::uint32_t most_side = 16384; // max_frame_side of wire/frame.h
constexpr double infinity = std::numeric_limits<double>::infinity();

std::vector<Part> read_parts(const JsonValue& json) {
    std::vector<Part> parts;
    for (const JsonValue& value : json.elements(16)) {
        Part part{.kind = value["kind"].text(),
                  .name = value["name"].text(),
                  .detail = value["detail"].text(),
                  .emulated = value["emulated"].flag(),
                  .emulation = value["emulation"].text()};
        for (const JsonValue& refusal : value["refused"].elements(64))
            part.refused.push_back({refusal["name"].text(), refusal["reason"].text()});
        parts.push_back(std::move(part));
    }
    return parts;
}

ReceivingEnd read_receiving(const JsonValue& json) {
    return {.listening = json["listening"].text(),
            .sender = json["sender"].text(),
            .program = json["program"].text(),
            .parts = read_parts(json["parts"])};
}

Environment read_environment(const JsonValue& json) {
    return {
        .program = json["program"].text(),
        .time = json["time"].text(),
        .kernel = json["kernel"].text(),
        .distribution = json["distribution"].text(),
        .cpu = json["cpu"].text(),
        .cores = json["cores"].count32(),
        .memory_bytes = json["memory_bytes"].count(),
        .guest = json["guest"].text(),
        .build = json["build"].text(),
    };
}

DemoSettings read_settings(const JsonValue& json) {
    DemoSettings settings{
        .paths = json["paths"].texts(),
        .interleaved = json["interleaved"].flag(),
        .width = json["width"].count32(most_side),
        .height = json["height"].count32(most_side),
        .scene = json["scene"].text(),
        .verify = json["verify"].text(),
        .ring = json["ring"].count32(),
        .nic_gbits_per_s = json["nic_gbits_per_s"].real(),
        .paused = json["paused"].flag(),
    };
    json["width"].require(settings.width > 0, "more than 0");
    json["height"].require(settings.height > 0, "more than 0");
    return settings;
}

DemoChoices read_choices(const JsonValue& json) {
    return {
        .paths = json["paths"].texts(),
        .scenes = json["scenes"].texts(),
        .least_ring = json["least_ring"].count32(),
        .most_ring = json["most_ring"].count32(),
        .nic_rate = json["nic_rate"].flag(),
    };
}

PathSnapshot read_path(const JsonValue& json) {
    const JsonValue latency = json["latency_us"];
    PathSnapshot path{
        .name = json["name"].text(),
        .running = json["running"].flag(),
        .frames = json["frames"].count(),
        .verified = json["verified"].count(),
        .lost = json["lost"].count(),
        .corrupt = json["corrupt"].count(),
        .rejected = json["rejected"].count(),
        .cpu_copied_bytes = json["cpu_copied_bytes"].count(),
        .same_buffer = json["same_buffer"].flag(),
        .gbytes_per_s = json["gbytes_per_s"].real(),
        .frames_per_s = json["frames_per_s"].real(),
        .latency_us = {.p50 = latency["p50"].real(),
                       .p99 = latency["p99"].real(),
                       .p99_9 = latency["p99_9"].real(),
                       .max = latency["max"].real()},
        .cpu_ms_per_gbyte = json["cpu_ms_per_gbyte"].real(),
        .pool_bytes = json["pool_bytes"].count(),
    };
    for (const auto& [stage, median] : json["stages_us"].members(16))
        path.stages_us[stage] = median.real();
    if (const JsonValue shown = json["shown"]; !shown.is_null())
        path.shown = shown.count();
    const std::vector<JsonValue> history = json["history"].elements(PathSnapshot::bins);
    json["history"].require(history.size() == PathSnapshot::bins,
                            fmt::format("a list of {}", PathSnapshot::bins));
    for (std::size_t i = 0; i < history.size(); ++i)
        if (!history[i].is_null())
            path.history[i] = static_cast<float>(history[i].real());
    return path;
}

std::optional<Comparison> read_comparison(const JsonValue& json) {
    if (json.is_null())
        return std::nullopt;
    Comparison comparison;
    for (const auto& [name, value] : json.members(most_paths)) {
        if (name == "baseline") {
            comparison.baseline = value.text();
            continue;
        }
        const std::vector<JsonValue> interval = value["ci95"].elements(2);
        value["ci95"].require(interval.size() == 2, "a list of 2");
        comparison.paths[name] = {.ratio = value["ratio"].real(infinity),
                                  .low = interval[0].real(),
                                  .high = interval[1].real(infinity),
                                  .pairs = value["pairs"].count32()};
    }
    return comparison;
}

DemoState read_state(const JsonValue& json) {
    const auto found = std::find(state_names.begin(), state_names.end(), json.text());
    json.require(found != state_names.end(),
                 fmt::format("one of {}", fmt::join(state_names, ", ")));
    return static_cast<DemoState>(found - state_names.begin());
}

} // namespace

std::string_view demo_state_name(DemoState state) {
    return state_names[static_cast<std::size_t>(state)];
}

const Part* Snapshot::part(std::string_view kind) const {
    const auto found = std::find_if(parts.begin(), parts.end(),
                                    [&](const Part& part) { return part.kind == kind; });
    return found == parts.end() ? nullptr : &*found;
}

std::string to_json(const Snapshot& snapshot) {
    Json paths = Json::array();
    for (const PathSnapshot& path : snapshot.paths)
        paths.push_back(to_json(path));
    Json json = {
        {"schema", snapshot_schema},
        {"state", demo_state_name(snapshot.state)},
        {"time_s", number(snapshot.time_s)},
        {"trouble", snapshot.trouble},
        {"progress", snapshot.progress},
        {"notice", snapshot.notice},
        {"environment", to_json(snapshot.environment)},
        {"parts", parts_json(snapshot.parts)},
        {"host_readable_bytes", snapshot.host_readable_bytes},
        {"choices", to_json(snapshot.choices)},
        {"settings", to_json(snapshot.settings)},
        {"stride", snapshot.stride},
        {"frame_bytes", snapshot.frame_bytes},
        {"seed", snapshot.seed},
        {"paths", std::move(paths)},
        {"comparison", snapshot.comparison ? to_json(*snapshot.comparison) : Json(nullptr)},
        {"limits", to_json(snapshot.limits)},
        {"cost", to_json(snapshot.cost)},
    };
    if (snapshot.receiving)
        json["receiving"] = to_json(*snapshot.receiving);
    if (snapshot.doctor)
        json["doctor"] = to_json(*snapshot.doctor);
    return json_text(json);
}

Snapshot snapshot_from_json(std::string_view text, std::string_view name) {
    const Json parsed = parse_json(text, name, advice, snapshot_schema);
    const JsonValue json(parsed, name, advice);

    const JsonValue limits = json["limits"];
    const JsonValue cost = json["cost"];
    Snapshot snapshot{
        .state = read_state(json["state"]),
        .time_s = json["time_s"].real(),
        .trouble = json["trouble"].text(),
        .progress = json["progress"].text(),
        .notice = json["notice"].text(),
        .environment = read_environment(json["environment"]),
        .parts = read_parts(json["parts"]),
        .host_readable_bytes = json["host_readable_bytes"].count(),
        .choices = read_choices(json["choices"]),
        .settings = read_settings(json["settings"]),
        .stride = json["stride"].count32(),
        .frame_bytes = json["frame_bytes"].count(),
        .seed = json["seed"].count32(),
        .comparison = read_comparison(json["comparison"]),
        .limits = {.dma_gbytes_per_s = limits["dma_gbytes_per_s"].real(),
                   .copy_gbytes_per_s = limits["copy_gbytes_per_s"].real(),
                   .copy_method = limits["copy_method"].text()},
        .cost = {.frames_per_s = cost["frames_per_s"].real(),
                 .panel_ms = cost["panel_ms"].real(),
                 .draw_ms = cost["draw_ms"].real()},
    };
    snapshot.asked = snapshot.settings;
    for (const JsonValue& path : json["paths"].elements(most_paths))
        snapshot.paths.push_back(read_path(path));
    if (const std::optional<JsonValue> receiving = json.find("receiving"); receiving)
        snapshot.receiving = read_receiving(*receiving);
    if (const std::optional<JsonValue> doctor = json.find("doctor"); doctor)
        snapshot.doctor = read_doctor_view(*doctor);
    return snapshot;
}

} // namespace clearframe
