// Directories and files that a test makes and leaves nothing of, and what it has open.
#pragma once

#include <gtest/gtest.h>

#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>

namespace clearframe::test {

// An empty folder, removed with all it holds when the object is destroyed; kept, and named in the
// test's output, when the test has failed.
class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::string name = ::testing::TempDir() + "clearframe-test-XXXXXX";
        if (!::mkdtemp(name.data()))
            throw std::filesystem::filesystem_error(
                "mkdtemp", name, std::error_code(errno, std::generic_category()));
        path_ = name;
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() {
        if (::testing::Test::HasFailure()) {
            std::cerr << "kept for a look: " << path_ << '\n';
            return;
        }
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    std::filesystem::path operator/(const std::filesystem::path& name) const {
        return path_ / name;
    }
    const std::filesystem::path& path() const noexcept { return path_; }

    // Of what is in it.
    std::set<std::string> names() const {
        std::set<std::string> found;
        for (const auto& entry : std::filesystem::directory_iterator(path_))
            found.insert(entry.path().filename().string());
        return found;
    }

private:
    std::filesystem::path path_;
};

inline void write_file(const std::filesystem::path& path, std::string_view text) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
}

inline std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

inline std::size_t entries_of(const std::filesystem::path& directory) {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(directory), {}));
}

// Of this process, or of another one. To be compared with an earlier count: of this process it
// takes in the one it is counted with.
inline std::size_t open_descriptors(const std::string& process = "self") {
    return entries_of("/proc/" + process + "/fd");
}
inline std::size_t threads() { return entries_of("/proc/self/task"); }

} // namespace clearframe::test
