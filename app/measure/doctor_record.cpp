#include "measure/doctor_record.h"

#include "measure/json_parts.h"
#include "measure/json_value.h"

#include <fmt/format.h>

namespace clearframe {
namespace {

constexpr std::string_view doctor_schema = "clearframe.doctor/1";

Json to_json(const std::vector<Finding>& findings) {
    Json list = Json::array();
    for (const Finding& finding : findings)
        list.push_back(Json{{"subject", finding.subject},
                            {"health", health_name(finding.health)},
                            {"sentence", finding.sentence},
                            {"mend", finding.mend}});
    return list;
}

Json to_json(const ImportTrial& trial) {
    return {{"heap", trial.heap},
            {"importer", trial.importer},
            {"imported", trial.imported()},
            {"error", trial.error}};
}

Health health_of(std::string_view name) {
    for (const Health health : {Health::good, Health::attention})
        if (name == health_name(health))
            return health;
    return Health::missing;
}

Json name_or_null(const std::string& name) { return name.empty() ? Json(nullptr) : Json(name); }

Json to_json(const RealPath& path) {
    return {{"whole", path.whole},
            {"heap", name_or_null(path.heap)},
            {"gpu", name_or_null(path.gpu)},
            {"nic", name_or_null(path.nic)}};
}

RealPath read_real_path(const JsonValue& json) {
    const auto name = [&](const char* member) {
        const std::optional<JsonValue> value = json.find(member);
        return value && !value->is_null() ? value->text() : std::string();
    };
    return {.heap = name("heap"),
            .gpu = name("gpu"),
            .nic = name("nic"),
            .whole = json["whole"].flag()};
}

// Sections, matrix and real path, which a record and a view have in common.
void read_found(const JsonValue& json, DoctorView& view) {
    constexpr std::size_t most = 1024; // of any of them
    for (const JsonValue& section : json["sections"].elements(most)) {
        DoctorView::Section& added = view.sections.emplace_back();
        added.name = section["name"].text();
        for (const JsonValue& finding : section["findings"].elements(most)) {
            const std::string health = finding["health"].text();
            finding["health"].require(health == health_name(health_of(health)),
                                      "good, attention or missing");
            added.findings.push_back({.subject = finding["subject"].text(),
                                      .health = health_of(health),
                                      .sentence = finding["sentence"].text(),
                                      .mend = finding["mend"].text()});
        }
    }
    for (const JsonValue& entry : json["matrix"].elements(most)) {
        const ImportTrial& trial = view.matrix.emplace_back(
            ImportTrial{entry["heap"].text(), entry["importer"].text(), entry["error"].text()});
        entry["imported"].require(entry["imported"].flag() == trial.imported(),
                                  "true where there is no error");
    }
    view.real_path = read_real_path(json["real_path"]);
}

std::string or_none(const std::string& name) { return name.empty() ? "none" : name; }

const std::vector<RealPart>& real_parts(const DoctorRecord& record, std::string_view section) {
    static const std::vector<RealPart> none;
    for (const DoctorSection& candidate : record.sections)
        if (candidate.name == section)
            return candidate.report.real;
    return none;
}

// Its first part for memory of `heap`, or of any heap if that is empty.
std::string part_for(const std::vector<RealPart>& parts, std::string_view heap) {
    for (const RealPart& part : parts)
        if (heap.empty() || part.heap == heap)
            return part.name;
    return {};
}

} // namespace

RealPath DoctorRecord::real_path() const {
    const std::vector<RealPart>& heaps = real_parts(*this, "heaps");
    const std::vector<RealPart>& gpus = real_parts(*this, "Vulkan");
    const std::vector<RealPart>& nics = real_parts(*this, "RDMA");
    for (const RealPart& heap : heaps)
        if (RealPath path{heap.name, part_for(gpus, heap.heap), part_for(nics, heap.heap), true};
            !path.gpu.empty() && !path.nic.empty())
            return path;
    return {part_for(heaps, {}), part_for(gpus, {}), part_for(nics, {}), false};
}

std::string to_json(const DoctorRecord& record) {
    Json sections = Json::array();
    Json matrix = Json::array();
    for (const DoctorSection& section : record.sections) {
        sections.push_back(
            Json{{"name", section.name}, {"findings", to_json(section.report.findings)}});
        for (const ImportTrial& trial : section.report.trials)
            matrix.push_back(to_json(trial));
    }
    return json_text({{"schema", doctor_schema},
                      {"environment", to_json(record.environment)},
                      {"root", record.root},
                      {"sections", std::move(sections)},
                      {"matrix", std::move(matrix)},
                      {"real_path", to_json(record.real_path())}});
}

Json to_json(const DoctorView& view) {
    Json sections = Json::array();
    for (const DoctorView::Section& section : view.sections)
        sections.push_back(Json{{"name", section.name}, {"findings", to_json(section.findings)}});
    Json matrix = Json::array();
    for (const ImportTrial& trial : view.matrix)
        matrix.push_back(to_json(trial));
    return {{"looking", view.looking},
            {"trouble", view.trouble},
            {"sections", std::move(sections)},
            {"matrix", std::move(matrix)},
            {"real_path", to_json(view.real_path)}};
}

DoctorView read_doctor_view(const JsonValue& json) {
    DoctorView view{.looking = json["looking"].flag(), .trouble = json["trouble"].text()};
    read_found(json, view);
    return view;
}

DoctorView doctor_view_from_json(std::string_view text, std::string_view name) {
    constexpr std::string_view advice = "Make it with clearframe doctor --json";
    const Json parsed = parse_json(text, name, advice, doctor_schema);
    const JsonValue json(parsed, name, advice);
    DoctorView view;
    read_found(json, view);
    return view;
}

std::string verdict(const RealPath& path) {
    return path.whole ? fmt::format("The whole real path is there: heap {}, GPU {}, NIC {}.",
                                    path.heap, path.gpu, path.nic)
                      : fmt::format("Not the whole real path. Real here: heap {}, GPU {}, NIC {}. "
                                    "What is not is emulated, and every figure says so.",
                                    or_none(path.heap), or_none(path.gpu), or_none(path.nic));
}

std::string pack(const Report& report) {
    Json trials = Json::array();
    for (const ImportTrial& trial : report.trials)
        trials.push_back(to_json(trial));
    Json real = Json::array();
    for (const RealPart& part : report.real)
        real.push_back(Json{{"heap", part.heap}, {"name", part.name}});
    return json_text({{"findings", to_json(report.findings)},
                      {"trials", std::move(trials)},
                      {"real", std::move(real)}});
}

Report unpack(std::string_view text) {
    const Json json = Json::parse(text);
    Report report;
    for (const Json& finding : json.at("findings"))
        report.findings.push_back({finding.at("subject"),
                                   health_of(finding.at("health").get<std::string>()),
                                   finding.at("sentence"), finding.at("mend")});
    for (const Json& trial : json.at("trials"))
        report.trials.push_back({trial.at("heap"), trial.at("importer"), trial.at("error")});
    for (const Json& part : json.at("real"))
        report.real.push_back({part.at("heap"), part.at("name")});
    return report;
}

} // namespace clearframe
