#include "measure/snapshot.h"

#include "core/error.h"
#include "measure/json_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace clearframe {
namespace {

constexpr std::string_view schema = "clearframe.snapshot/1";
constexpr std::array<std::string_view, 4> state_names = {"starting", "running", "paused", "failed"};

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

// One value of the text that is read, and where it stands, for messages: "paths[1].latency_us".
class Value {
public:
    Value(const Json& json, std::string_view name, std::string where)
        : json_(json), name_(name), where_(std::move(where)) {}

    // A member of an object, which must be there.
    Value operator[](const char* member) const {
        require(json_.is_object(), "an object");
        const std::string where = where_.empty() ? member : where_ + "." + member;
        const auto found = json_.find(member);
        if (found == json_.end())
            refuse(where, "is missing");
        return {*found, name_, where};
    }
    std::vector<Value> elements(std::size_t most) const {
        require(json_.is_array() && json_.size() <= most,
                fmt::format("a list of at most {}", most));
        std::vector<Value> values;
        for (std::size_t i = 0; i < json_.size(); ++i)
            values.emplace_back(json_[i], name_, fmt::format("{}[{}]", where_, i));
        return values;
    }
    std::vector<std::pair<std::string, Value>> members(std::size_t most) const {
        require(json_.is_object() && json_.size() <= most,
                fmt::format("an object of at most {}", most));
        std::vector<std::pair<std::string, Value>> values;
        for (const auto& [key, value] : json_.items())
            values.emplace_back(key, Value(value, name_, where_ + "." + key));
        return values;
    }

    bool is_null() const { return json_.is_null(); }
    bool flag() const {
        require(json_.is_boolean(), "true or false");
        return json_.get<bool>();
    }
    std::string text() const {
        require(json_.is_string() && json_.get_ref<const std::string&>().size() <= 4096,
                "text of at most 4096 bytes");
        return json_.get<std::string>();
    }
    std::vector<std::string> texts() const {
        std::vector<std::string> result;
        for (const Value& value : elements(64))
            result.push_back(value.text());
        return result;
    }
    std::uint64_t count(std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) const {
        require(json_.is_number_unsigned() && json_.get<std::uint64_t>() <= most,
                fmt::format("a whole number, at most {}", most));
        return json_.get<std::uint64_t>();
    }
    std::uint32_t count32(std::uint32_t most = std::numeric_limits<std::uint32_t>::max()) const {
        return static_cast<std::uint32_t>(count(most));
    }
    // Not negative; what was unknown or not finite was written as null.
    double real(double if_null = 0) const {
        if (json_.is_null())
            return if_null;
        require(json_.is_number() && json_.get<double>() >= 0 && std::isfinite(json_.get<double>()),
                "a number, not negative");
        return json_.get<double>();
    }

    void require(bool good, std::string_view expected) const {
        if (!good)
            refuse(where_.empty() ? "the whole" : where_, fmt::format("must be {}", expected));
    }

private:
    [[noreturn]] void refuse(std::string_view where, std::string_view how) const {
        throw Error(Failure::usage, fmt::format("{}: {} {}", name_, where, how), {},
                    "Make it with clearframe demo --record");
    }

    const Json& json_;
    std::string_view name_;
    std::string where_;
};

constexpr std::size_t most_paths = 16;
constexpr std::uint32_t most_side = 16384; // max_frame_side of wire/frame.h
constexpr double infinity = std::numeric_limits<double>::infinity();

std::vector<Part> read_parts(const Value& json) {
    std::vector<Part> parts;
    for (const Value& value : json.elements(16)) {
        Part part{.kind = value["kind"].text(),
                  .name = value["name"].text(),
                  .detail = value["detail"].text(),
                  .emulated = value["emulated"].flag(),
                  .emulation = value["emulation"].text()};
        for (const Value& refusal : value["refused"].elements(64))
            part.refused.push_back({refusal["name"].text(), refusal["reason"].text()});
        parts.push_back(std::move(part));
    }
    return parts;
}

Environment read_environment(const Value& json) {
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

DemoSettings read_settings(const Value& json) {
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

DemoChoices read_choices(const Value& json) {
    return {
        .paths = json["paths"].texts(),
        .scenes = json["scenes"].texts(),
        .least_ring = json["least_ring"].count32(),
        .most_ring = json["most_ring"].count32(),
        .nic_rate = json["nic_rate"].flag(),
    };
}

PathSnapshot read_path(const Value& json) {
    const Value latency = json["latency_us"];
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
    if (const Value shown = json["shown"]; !shown.is_null())
        path.shown = shown.count();
    const std::vector<Value> history = json["history"].elements(PathSnapshot::bins);
    json["history"].require(history.size() == PathSnapshot::bins,
                            fmt::format("a list of {}", PathSnapshot::bins));
    for (std::size_t i = 0; i < history.size(); ++i)
        if (!history[i].is_null())
            path.history[i] = static_cast<float>(history[i].real());
    return path;
}

std::optional<Comparison> read_comparison(const Value& json) {
    if (json.is_null())
        return std::nullopt;
    Comparison comparison;
    for (const auto& [name, value] : json.members(most_paths)) {
        if (name == "baseline") {
            comparison.baseline = value.text();
            continue;
        }
        const std::vector<Value> interval = value["ci95"].elements(2);
        value["ci95"].require(interval.size() == 2, "a list of 2");
        comparison.paths[name] = {.ratio = value["ratio"].real(infinity),
                                  .low = interval[0].real(),
                                  .high = interval[1].real(infinity),
                                  .pairs = value["pairs"].count32()};
    }
    return comparison;
}

DemoState read_state(const Value& json) {
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
    Json parts = Json::array();
    for (const Part& part : snapshot.parts)
        parts.push_back(to_json(part));
    Json paths = Json::array();
    for (const PathSnapshot& path : snapshot.paths)
        paths.push_back(to_json(path));
    return json_text({
        {"schema", schema},
        {"state", demo_state_name(snapshot.state)},
        {"time_s", number(snapshot.time_s)},
        {"trouble", snapshot.trouble},
        {"progress", snapshot.progress},
        {"notice", snapshot.notice},
        {"environment", to_json(snapshot.environment)},
        {"parts", std::move(parts)},
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
    });
}

Snapshot snapshot_from_json(std::string_view text, std::string_view name) {
    Json parsed;
    try {
        parsed = Json::parse(text);
    } catch (const Json::exception& error) {
        throw Error(Failure::usage, fmt::format("{} is not JSON", name), error.what(),
                    "Make it with clearframe demo --record");
    }
    const Value json(parsed, name, "");
    const std::string found = json["schema"].text();
    json["schema"].require(found == schema, fmt::format("{}, not {}", schema, found));

    const Value limits = json["limits"];
    const Value cost = json["cost"];
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
    for (const Value& path : json["paths"].elements(most_paths))
        snapshot.paths.push_back(read_path(path));
    return snapshot;
}

} // namespace clearframe
