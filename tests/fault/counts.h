// What a shim's count file says.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace clearframe::test {

// Names and numbers of the calls that a run made.
inline std::vector<std::pair<std::string, int>> counts(const std::filesystem::path& file) {
    std::vector<std::pair<std::string, int>> result;
    std::ifstream in(file);
    std::string name;
    int calls = 0, failed = 0;
    while (in >> name >> calls >> failed)
        result.emplace_back(name, calls);
    return result;
}

} // namespace clearframe::test
