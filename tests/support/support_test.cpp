#include "support/files.h"
#include "support/process.h"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <signal.h>
#include <system_error>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace clearframe::test {
namespace {

using namespace std::chrono_literals;

Command shell(const std::string& script) {
    return {.arguments = {"-c", script}, .program = "/bin/sh"};
}

TEST(Run, TakesBothStreamsAndTheStatus) {
    const Finished finished = run(shell("echo out; echo err >&2; exit 7"));
    EXPECT_EQ(finished.status, 7);
    EXPECT_EQ(finished.out, "out\n");
    EXPECT_EQ(finished.err, "err\n");
    EXPECT_FALSE(finished.timed_out);
}

TEST(Run, HandsArgumentsOnAsTheyAre) {
    Command command = shell("printf '<%s>' \"$@\"");
    for (const char* argument : {"name", "a b", "", "*"})
        command.arguments.emplace_back(argument);
    EXPECT_EQ(run(command).out, "<a b><><*>");
}

TEST(Run, TakesMoreThanAPipeHolds) {
    EXPECT_EQ(run(shell("head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2")).out.size(),
              1'000'000u);
}

TEST(Run, SaysWhichSignalKilledIt) {
    const Finished finished = run(shell("kill -USR1 $$"));
    EXPECT_FALSE(finished.status);
    EXPECT_EQ(finished.signal, SIGUSR1);
}

TEST(Run, KillsWhatTakesTooLongAndWhatThatStarted) {
    Command command = shell("echo begun; sleep 1000 & wait");
    command.time_limit = 300ms;
    const Finished finished = run(command);
    EXPECT_TRUE(finished.timed_out);
    EXPECT_EQ(finished.signal, SIGKILL);
}

TEST(Run, DoesNotWaitForWhatTheProgramHasLeftBehind) {
    const Finished finished = run(shell("sleep 1000 & echo done"));
    EXPECT_EQ(finished.status, 0);
    EXPECT_FALSE(finished.timed_out);
    EXPECT_EQ(finished.out, "done\n");
}

TEST(Run, SendsSignalsWhenTheirTextIsPrintedInTheirOrder) {
    Command command = shell("trap 'echo two >&2' USR1; trap 'echo three; exit 4' USR2; echo one; "
                            "while :; do sleep 0.01; done");
    command.signals = {{"one", SIGUSR1}, {"two", SIGUSR2}};
    const Finished finished = run(command);
    EXPECT_EQ(finished.status, 4);
    EXPECT_EQ(finished.out, "one\nthree\n");
    EXPECT_EQ(finished.err, "two\n");
    EXPECT_EQ(finished.signals_sent, 2u);
}

TEST(Run, CleansTheEnvironmentAndAddsToIt) {
    ::setenv("LD_PRELOAD", "", 1);
    ::setenv("NO_COLOR", "1", 1);
    ::setenv("CLEARFRAME_FAIL", "mmap:1:ENOMEM", 1);
    ::setenv("UNRELATED", "kept", 1);
    Command command = shell("echo ${LD_PRELOAD-unset} ${NO_COLOR-unset} ${CLEARFRAME_FAIL-unset} "
                            "${UNRELATED-unset} ${ADDED-unset} ${HOME-unset}");
    command.environment = {{"ADDED", "added"}, {"HOME", std::nullopt}};
    EXPECT_EQ(run(command).out, "unset unset unset kept added unset\n");
    for (const char* name : {"LD_PRELOAD", "NO_COLOR", "CLEARFRAME_FAIL", "UNRELATED"})
        ::unsetenv(name);
}

TEST(Run, GivesATerminalToTheStreamsThatAreToHaveOne) {
    const std::string script =
        "for f in 0 1 2; do test -t $f && echo -n $f >>seen; done; stty size "
        ">>seen 2>/dev/null; echo out; echo err >&2";
    for (const auto& [terminal, seen, printed] :
         {std::tuple{Terminal::none, "", ""}, std::tuple{Terminal::out, "01", "out\r\n"},
          std::tuple{Terminal::err, "02", "err\r\n"},
          std::tuple{Terminal::both, "012", "out\r\nerr\r\n"}}) {
        const TemporaryDirectory directory;
        Command command = shell(script);
        command.terminal = terminal;
        command.directory = directory.path();
        const Finished finished = run(command);
        EXPECT_EQ(finished.terminal, printed);
        std::string line;
        std::getline(std::ifstream(directory / "seen") >> std::ws, line);
        EXPECT_EQ(line, std::string(seen) + (*seen ? "30 100" : ""));
    }
}

TEST(Run, SetsLimits) {
    Command command = shell("ulimit -n");
    command.limits = {{RLIMIT_NOFILE, 17}};
    EXPECT_EQ(run(command).out, "17\n");
}

TEST(Run, ThrowsWhenThereIsNoSuchProgram) {
    EXPECT_THROW(run({.program = "/nowhere/nothing"}), std::system_error);
}

TEST(Run, ReadsJson) {
    EXPECT_EQ(run(shell("echo '{\"a\": 1}'")).json()["a"], 1);
    EXPECT_NONFATAL_FAILURE(run(shell("echo '{'; echo why >&2")).json(), "why");
}

TEST(Run, LeavesNoDescriptorOpen) {
    const auto before = open_descriptors();
    Command command = shell("true");
    command.terminal = Terminal::both;
    run(command);
    EXPECT_EQ(open_descriptors(), before);
}

TEST(TemporaryDirectory, IsRemovedWithWhatItHolds) {
    std::filesystem::path path;
    {
        const TemporaryDirectory directory;
        path = directory.path();
        std::ofstream(directory / "file") << "content";
        EXPECT_TRUE(exists(path / "file"));
    }
    EXPECT_FALSE(exists(path));
}

} // namespace
} // namespace clearframe::test
