// How a run ends, one of whose system calls has failed.
#pragma once

#include "support/files.h"
#include "support/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <string>

namespace clearframe::test {

// A system call and what it is made to fail with, as the value of a test's parameter.
struct CallError {
    const char* call;
    const char* error;
};
inline void PrintTo(const CallError& error, std::ostream* out) { *out << error.call; }

// A failed call may be survived (another heap, no GPU; doctor then says 4), but then the file
// result.json must be whole; or it ends the run with a line that says what, with the native code,
// and the folder stays empty.
inline void expect_clean_end(const Finished& done, const std::filesystem::path& directory,
                             const std::string& native, bool is_doctor = false) {
    using ::testing::AllOf;
    ASSERT_TRUE(done.status) << done.describe();
    if (done.status == 0 || (is_doctor && done.status == 4)) {
        std::ifstream in(directory / "result.json");
        EXPECT_TRUE(nlohmann::json::accept(in)) << done.describe();
        return;
    }
    EXPECT_THAT(*done.status, ::testing::AnyOf(1, 3)) << done.describe();
    EXPECT_THAT(done.err,
                AllOf(::testing::StartsWith("clearframe: "), ::testing::HasSubstr(native)))
        << done.describe();
    EXPECT_EQ(std::count(done.err.begin(), done.err.end(), '\n'), 1) << done.describe();
    EXPECT_EQ(entries_of(directory), 0u) << "a file was left behind: " << done.describe();
}

} // namespace clearframe::test
