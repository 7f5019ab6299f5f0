#include "core/clock.h"
#include "core/error.h"
#include "core/result_file.h"
#include "support/files.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

namespace clearframe {
namespace {

using test::open_descriptors;

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

void write_result(const fs::path& path, const std::string& text) {
    ResultFile file(path.string());
    std::move(file).commit(text);
}

std::optional<Error> error_of(const std::function<void()>& step) {
    try {
        step();
    } catch (const Error& error) {
        return error;
    }
    return std::nullopt;
}

#define EXPECT_ERROR(step, expected_failure, matcher)                                              \
    if (const std::optional<Error> error = error_of([&] { step; }); !error)                        \
        ADD_FAILURE() << "no Error";                                                               \
    else {                                                                                         \
        EXPECT_EQ(error->failure(), expected_failure);                                             \
        EXPECT_THAT(error->what(), AllOf(Not(HasSubstr("\n")), matcher));                          \
    }

// A test that leaves as many descriptors open as it found.
class ResultFileTest : public ::testing::Test {
protected:
    void SetUp() override { descriptors_ = open_descriptors(); }
    void TearDown() override { EXPECT_EQ(open_descriptors(), descriptors_); }

    const test::TemporaryDirectory directory_;

private:
    std::ptrdiff_t descriptors_ = 0;
};

TEST_F(ResultFileTest, WritesANewFile) {
    const mode_t before = ::umask(027);
    write_result(directory_ / "run.json", "whole\n");
    ::umask(before);
    EXPECT_EQ(test::read_file(directory_ / "run.json"), "whole\n");
    EXPECT_THAT(directory_.names(), ElementsAre("run.json"));
    struct stat status {};
    ASSERT_EQ(::stat((directory_ / "run.json").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0640U);
}

TEST_F(ResultFileTest, KeepsTheOldFileUntilTheNewOneIsWhole) {
    test::write_file(directory_ / "run.json", "old");
    {
        ResultFile file((directory_ / "run.json").string());
        EXPECT_EQ(test::read_file(directory_ / "run.json"), "old");
        EXPECT_EQ(directory_.names().size(), 2U);
    }
    EXPECT_EQ(test::read_file(directory_ / "run.json"), "old");
    EXPECT_THAT(directory_.names(), ElementsAre("run.json"));
    write_result(directory_ / "run.json", "new");
    EXPECT_EQ(test::read_file(directory_ / "run.json"), "new");
    EXPECT_THAT(directory_.names(), ElementsAre("run.json"));
}

TEST_F(ResultFileTest, LeavesNothingWithoutCommit) {
    { ResultFile file((directory_ / "run.json").string()); }
    EXPECT_TRUE(directory_.names().empty());
}

TEST_F(ResultFileTest, CanBeMoved) {
    ResultFile first((directory_ / "run.json").string());
    std::optional<ResultFile> second(std::move(first));
    EXPECT_EQ(directory_.names().size(), 1U);
    std::move(*second).commit("moved");
    second.reset();
    EXPECT_EQ(test::read_file(directory_ / "run.json"), "moved");
    EXPECT_THAT(directory_.names(), ElementsAre("run.json"));
}

TEST_F(ResultFileTest, TwoMayHaveOneDirectoryOrOneName) {
    ResultFile json((directory_ / "run.json").string());
    ResultFile csv((directory_ / "run.csv").string());
    ResultFile again((directory_ / "run.json").string());
    std::move(json).commit("json");
    std::move(csv).commit("csv");
    EXPECT_EQ(test::read_file(directory_ / "run.json"), "json");
    std::move(again).commit("again");
    EXPECT_EQ(test::read_file(directory_ / "run.json"), "again");
    EXPECT_THAT(directory_.names(), ElementsAre("run.csv", "run.json"));
}

TEST_F(ResultFileTest, TheLongestNameWorks) {
    const std::string name(255, 'n');
    write_result(directory_ / name, "long");
    EXPECT_THAT(directory_.names(), ElementsAre(name));
    EXPECT_ERROR(ResultFile((directory_ / (name + "n")).string()), Failure::unavailable,
                 HasSubstr("ENAMETOOLONG"));
}

TEST_F(ResultFileTest, ARelativeNameWorks) {
    const fs::path before = fs::current_path();
    fs::current_path(directory_.path());
    write_result("run.json", "relative");
    fs::current_path(before);
    EXPECT_THAT(directory_.names(), ElementsAre("run.json"));
}

TEST_F(ResultFileTest, FollowsASymbolicLink) {
    fs::create_directory(directory_ / "elsewhere");
    test::write_file(directory_ / "elsewhere/run.json", "old");
    fs::create_symlink("elsewhere/run.json", directory_ / "inner");
    fs::create_symlink(directory_ / "inner", directory_ / "link");
    write_result(directory_ / "link", "new");
    EXPECT_TRUE(fs::is_symlink(directory_ / "link"));
    EXPECT_TRUE(fs::is_symlink(directory_ / "inner"));
    EXPECT_EQ(test::read_file(directory_ / "elsewhere/run.json"), "new");
    EXPECT_EQ(std::distance(fs::directory_iterator(directory_ / "elsewhere"), {}), 1);
}

TEST_F(ResultFileTest, FollowsALinkToAFileYetToBe) {
    fs::create_symlink("target", directory_ / "link");
    write_result(directory_ / "link", "new");
    EXPECT_TRUE(fs::is_symlink(directory_ / "link"));
    EXPECT_EQ(test::read_file(directory_ / "target"), "new");
}

TEST_F(ResultFileTest, RefusesALinkToItself) {
    fs::create_symlink("link", directory_ / "link");
    EXPECT_ERROR(ResultFile((directory_ / "link").string()), Failure::unavailable,
                 HasSubstr("ELOOP"));
}

TEST_F(ResultFileTest, NamesAMissingDirectory) {
    EXPECT_ERROR(ResultFile((directory_ / "missing/run.json").string()), Failure::unavailable,
                 AllOf(HasSubstr("missing/run.json: cannot be opened for writing"),
                       HasSubstr("ENOENT (2:"),
                       HasSubstr("There is no directory " + (directory_ / "missing").string())));
    EXPECT_ERROR(ResultFile((directory_ / "missing/").string()), Failure::unavailable,
                 HasSubstr("ENOENT"));
    test::write_file(directory_ / "file", "");
    EXPECT_ERROR(ResultFile((directory_ / "file/run.json").string()), Failure::unavailable,
                 HasSubstr("ENOTDIR"));
}

TEST_F(ResultFileTest, RefusesADirectory) {
    EXPECT_ERROR(ResultFile(directory_.path().string()), Failure::unavailable,
                 HasSubstr("EISDIR (21: Is a directory). Name a file in it"));
}

TEST_F(ResultFileTest, RefusesAnEmptyName) {
    EXPECT_ERROR(ResultFile(""), Failure::usage, HasSubstr("the name is empty"));
}

// Runs `step` in a child process once `prepare` has worked there, and returns its exit status; -1
// where `prepare` has not.
int in_child(const std::function<bool()>& prepare, const std::function<int()>& step) {
    constexpr int unprepared = 255;
    const pid_t child = ::fork();
    if (child == 0)
        ::_exit(prepare() ? step() : unprepared);
    int status = 0;
    if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return 254;
    return WEXITSTATUS(status) == unprepared ? -1 : WEXITSTATUS(status);
}

// Rights do not stop root: it becomes somebody else, whom the directory lets in at most.
bool drop_root() { return ::geteuid() != 0 || ::setuid(65534) == 0; }

int expect_refused(const fs::path& path) {
    const std::optional<Error> error = error_of([&] { ResultFile(path.string()); });
    if (!error || error->failure() != Failure::unavailable)
        return 1;
    return std::string_view(error->what())
                   .ends_with("EACCES (13: Permission denied). Name a file in a directory that you "
                              "may write to")
               ? 0
               : 2;
}

TEST_F(ResultFileTest, RefusesADirectoryThatNobodyWrites) {
    EXPECT_ERROR(
        ResultFile("/proc/clearframe.json"), Failure::unavailable,
        AllOf(HasSubstr("result file /proc/clearframe.json: cannot be opened for writing: E"),
              Not(HasSubstr("no directory"))));
}

TEST_F(ResultFileTest, RefusesADirectoryWithoutRights) {
    ASSERT_EQ(::chmod(directory_.path().c_str(), 0555), 0);
    const int status = in_child(drop_root, [&] { return expect_refused(directory_ / "run.json"); });
    ASSERT_EQ(::chmod(directory_.path().c_str(), 0700), 0);
    EXPECT_EQ(status, 0);
}

TEST_F(ResultFileTest, RefusesAProtectedFile) {
    test::write_file(directory_ / "run.json", "old");
    ASSERT_EQ(::chmod((directory_ / "run.json").c_str(), 0444), 0);
    ASSERT_EQ(::chmod(directory_.path().c_str(), 0777), 0);
    EXPECT_EQ(in_child(drop_root, [&] { return expect_refused(directory_ / "run.json"); }), 0);
    EXPECT_EQ(test::read_file(directory_ / "run.json"), "old");
    EXPECT_THAT(directory_.names(), ElementsAre("run.json"));
}

TEST_F(ResultFileTest, ReportsAFullDevice) {
    EXPECT_ERROR(write_result("/dev/full", "text"), Failure::run,
                 HasSubstr("result file /dev/full: cannot be written: ENOSPC (28: No space left on "
                           "device). Make room there or name a file elsewhere"));
    EXPECT_TRUE(fs::is_character_file("/dev/full"));
}

TEST_F(ResultFileTest, WritesADeviceDirectly) {
    write_result("/dev/null", "text");
    EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST_F(ResultFileTest, AFileThatMayGrowNoFurtherIsNotLeftHalfWritten) {
    test::write_file(directory_ / "run.json", "old");
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto handler = ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    const std::optional<Error> error =
        error_of([&] { write_result(directory_ / "run.json", std::string(10'000, 'x')); });
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    ::signal(SIGXFSZ, handler);
    ASSERT_TRUE(error);
    EXPECT_THAT(error->what(), HasSubstr("EFBIG"));
    EXPECT_EQ(test::read_file(directory_ / "run.json"), "old");
    EXPECT_THAT(directory_.names(), ElementsAre("run.json"));
}

bool mount_small_disk(const fs::path& directory) {
    return ::unshare(CLONE_NEWNS) == 0 &&
           ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           ::mount("none", directory.c_str(), "tmpfs", 0, "size=64k") == 0;
}

TEST_F(ResultFileTest, AFullDiskLeavesTheOldFile) {
    const auto prepare = [&] { return mount_small_disk(directory_.path()); };
    const int status = in_child(prepare, [&] {
        test::write_file(directory_ / "run.json", "old");
        const std::optional<Error> error =
            error_of([&] { write_result(directory_ / "run.json", std::string(200'000, 'x')); });
        if (!error || error->failure() != Failure::run)
            return 1;
        if (std::string(error->what()).find("ENOSPC (28:") == std::string::npos)
            return 2;
        if (directory_.names() != std::set<std::string>{"run.json"})
            return 3;
        if (test::read_file(directory_ / "run.json") != "old")
            return 4;
        write_result(directory_ / "run.json", "new"); // there is room again
        return test::read_file(directory_ / "run.json") == "new" ? 0 : 5;
    });
    if (status == -1)
        GTEST_SKIP() << "a small file system to fill can be mounted by root alone";
    EXPECT_EQ(status, 0);
}

TEST_F(ResultFileTest, ReportsANameTakenByADirectoryMeanwhile) {
    ResultFile file((directory_ / "run.json").string());
    fs::create_directory(directory_ / "run.json");
    EXPECT_ERROR(std::move(file).commit("text"), Failure::run, HasSubstr("EISDIR"));
    EXPECT_THAT(directory_.names(), ElementsAre("run.json"));
}

TEST_F(ResultFileTest, ReportsADirectoryGoneMeanwhile) {
    fs::create_directory(directory_ / "results");
    ResultFile file((directory_ / "results/run.json").string());
    fs::remove_all(directory_ / "results");
    EXPECT_ERROR(std::move(file).commit("text"), Failure::run,
                 AllOf(HasSubstr("ENOENT"), HasSubstr("There is no directory")));
    EXPECT_TRUE(directory_.names().empty());
}

struct Pipe {
    Pipe() {
        int fds[2];
        if (::pipe2(fds, O_CLOEXEC) == 0) {
            reader.reset(fds[0]);
            writer.reset(fds[1]);
        }
    }
    std::string path() const { return fmt::format("/proc/self/fd/{}", writer.get()); }

    UniqueFd reader, writer;
};

TEST_F(ResultFileTest, ReportsABrokenPipe) {
    const auto before = ::signal(SIGPIPE, SIG_IGN);
    Pipe pipe;
    ResultFile file(pipe.path());
    pipe.reader.reset();
    EXPECT_ERROR(std::move(file).commit("text"), Failure::run,
                 HasSubstr("EPIPE (32: Broken pipe). Its reader ended too early"));
    ::signal(SIGPIPE, before);
}

// Reads as many bytes, or up to the end.
std::string read_all(int fd, std::size_t bytes) {
    std::string text;
    char part[4096];
    for (ssize_t n = 0; text.size() < bytes && (n = ::read(fd, part, sizeof(part))) > 0;)
        text.append(part, static_cast<std::size_t>(n));
    return text;
}

// Waits until the thread sleeps in a system call; false if it does not within 10 s.
bool wait_until_asleep(pid_t thread) {
    const Nanoseconds deadline = now() + 10'000'000'000;
    do {
        const std::string status = test::read_file(fmt::format("/proc/self/task/{}/stat", thread));
        if (status.find(") S ") != std::string::npos)
            return true;
        std::this_thread::yield();
    } while (now() < deadline);
    return false;
}

TEST_F(ResultFileTest, SurvivesShortWritesAndSignals) {
    // A signal without SA_RESTART ends a write to a full pipe: the first one short, the next ones,
    // which have written nothing, with EINTR.
    static std::atomic<int> caught = 0;
    struct sigaction action {};
    struct sigaction before {};
    action.sa_handler = [](int) { ++caught; };
    ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
    std::string text;
    for (int i = 0; text.size() < 1'000'000; ++i)
        text += fmt::format("{} ", i);

    Pipe pipe;
    ResultFile file(pipe.path());
    pipe.writer.reset();
    const pthread_t writer = ::pthread_self();
    const pid_t writer_id = ::gettid();
    std::string read;
    bool interrupted = true;
    std::thread reader([&] {
        for (int signals = 0; signals < 4; ++signals) {
            const int seen = caught;
            interrupted = interrupted && wait_until_asleep(writer_id);
            ::pthread_kill(writer, SIGUSR1);
            while (caught == seen)
                std::this_thread::yield();
        }
        read = read_all(pipe.reader.get(), text.size());
        pipe.reader.reset();
    });
    const std::optional<Error> error = error_of([&] { std::move(file).commit(text); });
    reader.join();
    ASSERT_EQ(::sigaction(SIGUSR1, &before, nullptr), 0);
    EXPECT_TRUE(interrupted);
    EXPECT_FALSE(error) << error->what();
    EXPECT_TRUE(read == text) << read.size() << " of " << text.size() << " bytes, or others";
}

// Puts a descriptor in standard output's place for as long as it lives.
class StandardOutputTo {
public:
    explicit StandardOutputTo(int fd) : saved_(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)) {
        std::fflush(stdout);
        ::dup2(fd, STDOUT_FILENO);
    }
    ~StandardOutputTo() { ::dup2(saved_.get(), STDOUT_FILENO); }

private:
    UniqueFd saved_;
};

TEST_F(ResultFileTest, WritesStandardOutputEvenIfItDoesNotBlock) {
    const std::string text(1'000'000, 'x');
    Pipe pipe;
    ASSERT_EQ(::fcntl(pipe.writer.get(), F_SETFL, O_NONBLOCK), 0);
    std::string read;
    std::optional<Error> error;
    std::thread reader([&] { read = read_all(pipe.reader.get(), text.size()); });
    {
        const StandardOutputTo redirected(pipe.writer.get());
        error = error_of([&] { write_result("-", text); });
    }
    pipe.writer.reset();
    reader.join();
    EXPECT_FALSE(error) << error->what();
    EXPECT_TRUE(read == text) << read.size() << " of " << text.size() << " bytes, or others";
}

TEST_F(ResultFileTest, ReportsFullAndClosedStandardOutput) {
    const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
    ASSERT_TRUE(full);
    std::optional<Error> error;
    {
        const StandardOutputTo redirected(full.get());
        error = error_of([&] { write_result("-", "text"); });
    }
    ASSERT_TRUE(error);
    EXPECT_THAT(error->what(), HasSubstr("standard output: cannot be written: ENOSPC"));
    {
        const StandardOutputTo redirected(full.get());
        ::close(STDOUT_FILENO);
        error = error_of([&] { ResultFile("-"); });
    }
    ASSERT_TRUE(error);
    EXPECT_THAT(error->what(), HasSubstr("EBADF"));
}

} // namespace
} // namespace clearframe
