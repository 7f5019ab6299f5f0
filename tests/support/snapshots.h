// Snapshots for tests of what draws them: one of a healthy run, and changes to it.
#pragma once

#include "measure/snapshot.h"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

namespace clearframe::test {

// tests/screenshots/states/NAME.json. `running` is a whole snapshot, of a run on a machine with
// none of the hardware; every other file is a JSON merge patch (RFC 7396) of it, in which a
// comparison of null takes the comparison away.
inline nlohmann::json state_json(const std::filesystem::path& states, const std::string& name) {
    const auto read = [&](const std::string& file) {
        return nlohmann::json::parse(std::ifstream(states / (file + ".json")));
    };
    nlohmann::json state = read("running");
    if (name != "running")
        state.merge_patch(read(name));
    if (!state.contains("comparison"))
        state["comparison"] = nullptr;
    return state;
}

// Every one of them by name, in alphabetical order.
inline std::vector<std::string> state_names(const std::filesystem::path& states) {
    std::set<std::string> names;
    for (const auto& file : std::filesystem::directory_iterator(states))
        if (file.path().extension() == ".json")
            names.insert(file.path().stem());
    return {names.begin(), names.end()};
}

} // namespace clearframe::test
