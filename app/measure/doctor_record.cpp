#include "measure/doctor_record.h"

#include "measure/json_parts.h"

namespace clearframe {
namespace {

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
    const RealPath path = record.real_path();
    return json_text({{"schema", "clearframe.doctor/1"},
                      {"environment", to_json(record.environment)},
                      {"root", record.root},
                      {"sections", std::move(sections)},
                      {"matrix", std::move(matrix)},
                      {"real_path",
                       {{"whole", path.whole},
                        {"heap", name_or_null(path.heap)},
                        {"gpu", name_or_null(path.gpu)},
                        {"nic", name_or_null(path.nic)}}}});
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
