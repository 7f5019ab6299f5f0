// Pieces of JSON that run records and snapshots have in common. Inside measure/ only.
#pragma once

#include "measure/doctor_record.h"
#include "measure/record.h"

#include <nlohmann/json.hpp>

#include <string>

namespace clearframe {

using Json = nlohmann::ordered_json;

// To 5 significant digits: more would be noise.
double rounded(double value);
// Rounded; null where there is no such number: a division by nothing, an unknown bound.
Json number(double value);

Json to_json(const Environment& environment);
Json to_json(const Part& part);
Json to_json(const Quantiles& latency_us);
Json to_json(const Comparison& comparison);
Json to_json(const Limits& limits);
Json to_json(const DoctorView& view);
Json stages_json(const std::map<std::string, double>& stages_us);

class JsonValue; // measure/json_value.h
// What to_json() made of one. Throws Error of usage.
DoctorView read_doctor_view(const JsonValue& json);

// A driver's name or a refusal may hold anything: what is no UTF-8 is replaced. Ends in a newline.
std::string json_text(const Json& json);

} // namespace clearframe
