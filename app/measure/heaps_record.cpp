#include "measure/heaps_record.h"

#include "measure/json_parts.h"

#include <algorithm>

namespace clearframe {
namespace {

Json microseconds(Nanoseconds time) { return number(static_cast<double>(time) / 1e3); }

Json to_json(const HeapEntry& heap) {
    return {
        {"name", heap.candidate.name},
        {"detail", heap.candidate.detail},
        {"usable", heap.candidate.usable},
        {"refusal", heap.candidate.refusal},
        {"emulated", heap.candidate.emulated},
        {"emulation", heap.candidate.emulation},
        {"largest_buffer_bytes", heap.largest_buffer ? Json(*heap.largest_buffer) : Json(nullptr)},
    };
}

Json to_json(const HeapTimings& timings) {
    return {
        {"heap", timings.heap},
        {"bytes", timings.bytes},
        {"rounds", timings.rounds()},
        {"allocate_us", microseconds(median(timings.allocate))},
        {"first_touch_us", microseconds(median(timings.first_touch))},
        {"free_us", microseconds(median(timings.free))},
        {"error", timings.error},
    };
}

Json to_json(const Conversion& conversion) {
    return {
        {"heap", conversion.heap},
        {"baseline", conversion.baseline},
        {"bytes", conversion.bytes},
        {"rounds", conversion.rounds},
        {"allocate_us", microseconds(conversion.allocate)},
        {"free_us", microseconds(conversion.free)},
    };
}

Json list(const auto& items) {
    Json json = Json::array();
    for (const auto& item : items)
        json.push_back(to_json(item));
    return json;
}

Nanoseconds median_difference(const std::vector<Nanoseconds>& a, const std::vector<Nanoseconds>& b,
                              std::size_t rounds) {
    std::vector<Nanoseconds> differences(rounds);
    for (std::size_t i = 0; i < rounds; ++i)
        differences[i] = a[i] - b[i];
    return median(std::move(differences));
}

} // namespace

Nanoseconds median(std::vector<Nanoseconds> values) {
    if (values.empty())
        return 0;
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() + 1) / 2 - 1);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

double gbytes_per_s(std::uint64_t bytes, Nanoseconds time) {
    return time > 0 ? static_cast<double>(bytes) / static_cast<double>(time) : 0;
}

std::vector<Conversion> HeapsRecord::conversions() const {
    std::vector<Conversion> found;
    for (const HeapTimings& shared : timings) {
        if (!shared.heap.starts_with("system_cc_"))
            continue;
        for (const HeapTimings& plain : timings) {
            const std::size_t rounds = std::min(shared.rounds(), plain.rounds());
            if (plain.heap != "system" || plain.bytes != shared.bytes || rounds == 0)
                continue;
            found.push_back({.heap = shared.heap,
                             .baseline = plain.heap,
                             .bytes = shared.bytes,
                             .rounds = rounds,
                             .allocate = median_difference(shared.allocate, plain.allocate, rounds),
                             .free = median_difference(shared.free, plain.free, rounds)});
        }
    }
    return found;
}

std::string to_json(const HeapsRecord& record) {
    return json_text({
        {"schema", "clearframe.heaps/1"},
        {"environment", to_json(record.environment)},
        {"page_bytes", record.page_bytes},
        {"free_bytes", record.free_bytes},
        {"heaps", list(record.heaps)},
        {"timed", record.timed},
        {"ended_early", record.ended_early},
        {"timings", list(record.timings)},
        {"conversions", list(record.conversions())},
        {"warnings", record.warnings},
    });
}

} // namespace clearframe
