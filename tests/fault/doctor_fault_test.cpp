// The system calls of `doctor` and of `heaps` are made to fail in turn, in the process itself and
// in those of its probes: a failed one is a finding or ends the program with one clear line, and
// leaves no half-written file.
#include "fault/clean_end.h"
#include "support/files.h"
#include "support/process.h"
#include "support/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace clearframe::test {
namespace {

class FailingProbe : public ::testing::TestWithParam<CallError> {};

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
            expect_clean_end(done, directory.path(), GetParam().error, command[0] == "doctor");
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
} // namespace clearframe::test
