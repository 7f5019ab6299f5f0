// The system calls of `doctor` and of `heaps` are made to fail in turn, in the process itself and
// in those of its probes: a failed one is a finding or ends the program with one clear line, and
// leaves no half-written file.
#include "support/process.h"
#include "support/program.h"
#include "support/temporary_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace clearframe::testing {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct CallError {
    const char* call;
    const char* error;
};

void PrintTo(const CallError& error, std::ostream* out) { *out << error.call; }

class FailingProbe : public ::testing::TestWithParam<CallError> {};

void expect_clean_end(const Finished& done, const std::filesystem::path& directory,
                      const std::string& native) {
    ASSERT_TRUE(done.status) << done.describe();
    if (done.status == 0 || done.status == 4) {
        std::ifstream in(directory / "result.json");
        EXPECT_TRUE(nlohmann::json::accept(in)) << done.describe();
        return;
    }
    EXPECT_THAT(*done.status, AnyOf(1, 3)) << done.describe();
    EXPECT_THAT(done.err, StartsWith("clearframe: ")) << done.describe();
    EXPECT_THAT(done.err, HasSubstr(native)) << done.describe();
    EXPECT_EQ(std::count(done.err.begin(), done.err.end(), '\n'), 1) << done.describe();
    EXPECT_TRUE(std::filesystem::is_empty(directory)) << done.describe();
}

TEST_P(FailingProbe, IsAFindingOrEndsTheProgramCleanly) {
    // The probes count on from where the program has come, each for itself.
    constexpr int calls = 8;
    for (const std::vector<std::string>& command :
         {std::vector<std::string>{"doctor", "--timeout", "60"},
          {"heaps", "--time", "--seconds", "0.01", "--sizes", "4K,64K"}})
        for (int n = 1; n <= calls; ++n) {
            SCOPED_TRACE(command[0] + ": " + GetParam().call + " number " + std::to_string(n));
            const TemporaryDirectory directory;
            std::vector<std::string> arguments = command;
            arguments.insert(arguments.end(), {"--quiet", "--json", directory / "result.json"});
            const Finished done =
                run({.arguments = arguments,
                     .environment = {{"CLEARFRAME_FAIL", std::string(GetParam().call) + ":" +
                                                             std::to_string(n) + ":" +
                                                             GetParam().error},
                                     {"VK_DRIVER_FILES", "/nonexistent.json"},
                                     {"VK_ICD_FILENAMES", "/nonexistent.json"}},
                     .preload = {failing_calls_library()},
                     .time_limit = std::chrono::seconds(90)});
            expect_clean_end(done, directory.path(), GetParam().error);
        }
}

INSTANTIATE_TEST_SUITE_P(
    Each, FailingProbe,
    ::testing::Values(CallError{"memfd_create", "EMFILE"}, CallError{"fallocate", "ENOSPC"},
                      CallError{"mmap", "ENOMEM"}, CallError{"fcntl", "EMFILE"},
                      CallError{"eventfd", "EMFILE"}, CallError{"open", "EMFILE"},
                      CallError{"read", "EIO"}, CallError{"write", "ENOSPC"},
                      CallError{"fsync", "EIO"}, CallError{"rename", "EXDEV"}),
    [](const auto& call) { return std::string(call.param.call); });

} // namespace
} // namespace clearframe::testing
