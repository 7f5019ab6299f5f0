// A folder for the files of one test.
#pragma once

#include <filesystem>

namespace clearframe::testing {

// An empty folder, removed with all it holds when the object is destroyed; kept, and named in the
// test's output, when the test has failed.
class TemporaryDirectory {
public:
    TemporaryDirectory();
    ~TemporaryDirectory();
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    const std::filesystem::path& path() const noexcept { return path_; }
    std::filesystem::path operator/(const std::filesystem::path& name) const {
        return path_ / name;
    }

private:
    std::filesystem::path path_;
};

} // namespace clearframe::testing
