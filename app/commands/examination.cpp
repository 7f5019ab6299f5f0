#include "commands/examination.h"

#include "core/error.h"
#include "core/thread.h"
#include "core/unique_fd.h"
#include "core/units.h"

#include <fmt/format.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

namespace clearframe {
namespace {

constexpr std::string_view advice = "Run clearframe doctor by itself: it may say why";

[[noreturn]] void throw_start(int error, const std::string& step) {
    throw_errno(error, fmt::format("starting the doctor: {}", step),
                "Raise the limits of processes and open files: ulimit -u, ulimit -n");
}

// Where a process is to have its standard streams; its signals are as if it were started by hand.
class SpawnPlan {
public:
    explicit SpawnPlan(int out) {
        ::posix_spawn_file_actions_init(&files_);
        ::posix_spawnattr_init(&attributes_);
        ::posix_spawn_file_actions_addopen(&files_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        ::posix_spawn_file_actions_adddup2(&files_, out, STDOUT_FILENO);
        ::posix_spawn_file_actions_addopen(&files_, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        sigset_t none;
        sigemptyset(&none);
        ::posix_spawnattr_setsigmask(&attributes_, &none);
        ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK);
    }
    SpawnPlan(const SpawnPlan&) = delete;
    SpawnPlan& operator=(const SpawnPlan&) = delete;
    ~SpawnPlan() {
        ::posix_spawn_file_actions_destroy(&files_);
        ::posix_spawnattr_destroy(&attributes_);
    }

    pid_t start(const std::string& program) const {
        std::array<std::string, 5> words = {"clearframe", "doctor", "--quiet", "--json", "-"};
        std::array<char*, words.size() + 1> arguments{};
        std::transform(words.begin(), words.end(), arguments.begin(),
                       [](std::string& word) { return word.data(); });
        pid_t pid = -1;
        if (const int error = ::posix_spawn(&pid, program.c_str(), &files_, &attributes_,
                                            arguments.data(), environ))
            throw_start(error, program);
        return pid;
    }

private:
    posix_spawn_file_actions_t files_;
    posix_spawnattr_t attributes_;
};

// `clearframe doctor`. Waited for and, should it still run, killed by its destructor.
class DoctorProcess {
public:
    explicit DoctorProcess(const std::string& program) {
        std::array<int, 2> ends{-1, -1};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0)
            throw_start(errno, "making a pipe");
        out_.reset(ends[0]);
        const UniqueFd in(ends[1]);
        pid_ = SpawnPlan(in.get()).start(program);
    }
    DoctorProcess(const DoctorProcess&) = delete;
    DoctorProcess& operator=(const DoctorProcess&) = delete;
    ~DoctorProcess() {
        if (pid_ <= 0)
            return;
        ::kill(pid_, SIGKILL);
        wait();
    }

    // What it writes until it ends, `stop` is signalled or the time is up. Throws Error.
    std::string read(const Event& stop, Nanoseconds timeout) {
        const Nanoseconds end = now() + timeout;
        std::string text;
        std::array<char, 65536> piece;
        while (true) {
            const Nanoseconds left = end - now();
            if (left <= 0)
                throw Error(Failure::run,
                            fmt::format("the doctor did not end in {}",
                                        duration_text(static_cast<double>(timeout))),
                            errno_text(ETIMEDOUT), advice);
            pollfd fds[] = {{.fd = out_.get(), .events = POLLIN, .revents = 0},
                            {.fd = stop.fd(), .events = POLLIN, .revents = 0}};
            ::poll(fds, 2, static_cast<int>(left / 1'000'000 + 1));
            if (stop.signalled())
                return {};
            if (fds[0].revents == 0)
                continue;
            const ssize_t got = ::read(out_.get(), piece.data(), piece.size());
            if (got == 0)
                return text;
            if (got > 0)
                text.append(piece.data(), static_cast<std::size_t>(got));
            else if (errno != EINTR)
                throw_errno(errno, "reading what the doctor says", advice);
        }
    }

    // Blocks until it has ended. Throws Error if it did not end with a report.
    void expect_report() {
        const int status = wait();
        if (WIFSIGNALED(status))
            throw Error(Failure::run, "the doctor crashed",
                        fmt::format("signal {}", WTERMSIG(status)), advice);
        const int code = WEXITSTATUS(status);
        if (code != 0 && code != static_cast<int>(Failure::not_real))
            throw Error(Failure::run, fmt::format("the doctor ended with status {}", code), {},
                        advice);
    }

private:
    int wait() {
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        pid_ = -1;
        return status;
    }

    pid_t pid_ = -1;
    UniqueFd out_;
};

} // namespace

Examination::Examination(std::string program, Nanoseconds timeout)
    : program_(std::move(program)), timeout_(timeout) {}

Examination::~Examination() {
    if (stop_)
        stop_->signal();
}

void Examination::start() {
    if (const std::optional<DoctorView> present = view(); present && present->looking)
        return;
    if (thread_.joinable())
        thread_.join(); // it has published and is at its end
    try {
        stop_ = std::make_unique<Event>();
        publish({.looking = true});
        thread_ = start_thread("cf-doctor", [this] { look(*stop_); });
    } catch (const Error& error) {
        publish({.trouble = error.what()});
    }
}

std::optional<DoctorView> Examination::view() const {
    const std::lock_guard lock(mutex_);
    return view_;
}

void Examination::look(const Event& stop) {
    DoctorView found;
    try {
        DoctorProcess process(program_);
        const std::string text = process.read(stop, timeout_);
        if (stop.signalled())
            return;
        process.expect_report();
        found = doctor_view_from_json(text, "what the doctor says");
    } catch (const Error& error) {
        found = {.trouble = error.what()};
    }
    publish(std::move(found));
}

void Examination::publish(DoctorView view) {
    const std::lock_guard lock(mutex_);
    view_ = std::move(view);
}

} // namespace clearframe
