#include "support/process.h"

#include "core/unique_fd.h"
#include "support/program.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace clearframe::test {
namespace {

int check(int result, const char* what) {
    if (result < 0)
        throw std::system_error(errno, std::generic_category(), what);
    return result;
}

struct Pipe {
    UniqueFd read;
    UniqueFd write;
};

Pipe make_pipe() {
    std::array<int, 2> ends{};
    check(::pipe2(ends.data(), O_CLOEXEC), "pipe2");
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Pipe make_terminal() {
    int master = -1;
    int slave = -1;
    const winsize size{.ws_row = 30, .ws_col = 100, .ws_xpixel = 0, .ws_ypixel = 0};
    check(::openpty(&master, &slave, nullptr, nullptr, &size), "openpty");
    Pipe terminal{UniqueFd(master), UniqueFd(slave)};
    check(::fcntl(master, F_SETFD, FD_CLOEXEC), "fcntl");
    check(::fcntl(slave, F_SETFD, FD_CLOEXEC), "fcntl");
    return terminal;
}

bool changes_behaviour(std::string_view name) {
    return name == "LD_PRELOAD" || name == "NO_COLOR" || name == "COLUMNS" || name == "LINES" ||
           name == "VK_INSTANCE_LAYERS" || name == "VK_ADD_LAYER_PATH" ||
           name.starts_with("VK_LAYER_") || name.starts_with("VK_LOADER_") ||
           name.starts_with("CLICOLOR") || name.starts_with("CLEARFRAME_");
}

std::string joined(const std::vector<std::filesystem::path>& paths) {
    std::string text;
    for (const auto& path : paths)
        text += (text.empty() ? "" : ":") + path.string();
    return text;
}

std::vector<std::string> environment_of(const Command& command) {
    std::map<std::string, std::string> variables;
    for (char** entry = environ; *entry; ++entry) {
        const std::string_view variable = *entry;
        const auto name = variable.substr(0, variable.find('='));
        if (!changes_behaviour(name) && name.size() < variable.size())
            variables[std::string(name)] = variable.substr(name.size() + 1);
    }
    if (command.terminal != Terminal::none)
        variables["TERM"] = "xterm";
    if (!command.preload.empty()) {
        variables["LD_PRELOAD"] = joined(command.preload);
        // AddressSanitizer wants to be the first library, and works as the second.
        variables["ASAN_OPTIONS"] += ":verify_asan_link_order=0";
    }
    for (const auto& [name, value] : command.environment) {
        if (value)
            variables[name] = *value;
        else
            variables.erase(name);
    }
    std::vector<std::string> list;
    for (const auto& [name, value] : variables)
        list.push_back(name + "=" + value);
    return list;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
    std::vector<char*> list;
    for (auto& string : strings)
        list.push_back(string.data());
    list.push_back(nullptr);
    return list;
}

struct Start {
    const char* program;
    char* const* arguments;
    char* const* environment;
    const char* directory; // or null
    int in, out, err;
    bool terminal; // `in` is one
    const std::vector<std::pair<int, rlim_t>>* limits;
};

// In the child, between fork and exec: only what is safe there. Returns when a step has failed.
void become(const Start& start) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::setsid() < 0)
        return;
    if (start.terminal && ::ioctl(start.in, TIOCSCTTY, 0) < 0)
        return;
    if (::dup2(start.in, 0) < 0 || ::dup2(start.out, 1) < 0 || ::dup2(start.err, 2) < 0)
        return;
    if (start.directory && ::chdir(start.directory) < 0)
        return;
    for (const auto& [resource, limit] : *start.limits) {
        const rlimit both{limit, limit};
        if (::setrlimit(static_cast<__rlimit_resource>(resource), &both) < 0)
            return;
    }
    ::execve(start.program, start.arguments, start.environment);
}

// Forks and execs; throws what went wrong in the child on the way to exec.
pid_t spawn(const Start& start) {
    Pipe failure = make_pipe();
    const pid_t pid = check(::fork(), "fork");
    if (pid == 0) {
        become(start);
        const int error = errno;
        if (::write(failure.write.get(), &error, sizeof error) < 0) {
            // Nobody is left to tell.
        }
        ::_exit(127);
    }
    failure.write.reset();
    int error = 0;
    if (::read(failure.read.get(), &error, sizeof error) == sizeof error) {
        ::waitpid(pid, nullptr, 0);
        throw std::system_error(error, std::generic_category(), start.program);
    }
    return pid;
}

// One of the program's streams as it comes in.
struct Stream {
    UniqueFd fd; // empty after its end
    std::string* text;
    std::size_t searched = 0; // where the search for the next SignalAfter goes on

    void read_some() {
        std::array<char, 65536> buffer;
        const ssize_t length = ::read(fd.get(), buffer.data(), buffer.size());
        if (length > 0)
            text->append(buffer.data(), static_cast<std::size_t>(length));
        else if (length == 0 || (errno != EINTR && errno != EAGAIN))
            fd.reset(); // a terminal ends with EIO
    }
};

class Running {
public:
    Running(const Command& command, pid_t pid, std::vector<Stream> streams, Finished& finished)
        : command_(command),
          pid_(pid),
          ended_(check(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)), "pidfd_open")),
          streams_(std::move(streams)),
          finished_(finished),
          deadline_(std::chrono::steady_clock::now() + command.time_limit) {}

    ~Running() { reap(); }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

    // Reads until the program has ended and every stream with it.
    void finish() {
        while (ended_ || std::ranges::any_of(streams_, [](auto& s) { return bool(s.fd); })) {
            if (!wait()) {
                finished_.timed_out = true;
                return;
            }
            send_signals();
            show();
        }
    }

    void show() {
        if (!command_.watch || reaped_ || finished_.out.size() == shown_)
            return;
        shown_ = finished_.out.size();
        command_.watch(finished_.out, pid_);
    }

    void reap() {
        if (reaped_)
            return;
        reaped_ = true;
        ::kill(-pid_, SIGKILL); // and what it has left behind
        int status = 0;
        ::waitpid(pid_, &status, 0);
        if (WIFEXITED(status))
            finished_.status = WEXITSTATUS(status);
        else
            finished_.signal = WTERMSIG(status);
    }

private:
    // Waits for the next thing to happen, and takes it in. False when the time is up.
    bool wait() {
        using namespace std::chrono;
        const auto left = ceil<milliseconds>(deadline_ - steady_clock::now()).count();
        if (left <= 0)
            return false;
        std::vector<pollfd> polled{{ended_.get(), POLLIN, 0}};
        for (const Stream& stream : streams_)
            polled.push_back({stream.fd.get(), POLLIN, 0});
        if (::poll(polled.data(), polled.size(), static_cast<int>(left)) < 0 && errno != EINTR)
            throw std::system_error(errno, std::generic_category(), "poll");
        for (std::size_t i = 0; i < streams_.size(); ++i)
            if (polled[i + 1].revents != 0)
                streams_[i].read_some();
        if (polled[0].revents != 0) {
            ended_.reset();
            reap();
        }
        return true;
    }

    void send_signals() {
        for (Stream& stream : streams_) {
            while (finished_.signals_sent < command_.signals.size()) {
                const SignalAfter& next = command_.signals[finished_.signals_sent];
                const std::size_t found = stream.text->find(next.text, stream.searched);
                if (found == std::string::npos)
                    break;
                stream.searched = found + next.text.size();
                if (reaped_)
                    return; // printed, but too late
                ::kill(pid_, next.signal);
                ++finished_.signals_sent;
            }
        }
    }

    const Command& command_;
    pid_t pid_;
    UniqueFd ended_; // empty once it has
    std::vector<Stream> streams_;
    Finished& finished_;
    std::chrono::steady_clock::time_point deadline_;
    bool reaped_ = false;
    std::size_t shown_ = 0; // of what it printed
};

} // namespace

std::string Finished::describe() const {
    std::string text = timed_out ? "killed after its time limit"
                       : status  ? "exit status " + std::to_string(*status)
                                 : std::string("killed by ") + ::strsignal(signal);
    for (const auto& [name, stream] :
         {std::pair{"stdout", &out}, std::pair{"stderr", &err}, std::pair{"terminal", &terminal}})
        if (!stream->empty())
            text += std::string("\n--- ") + name + "\n" + *stream;
    return text;
}

nlohmann::json Finished::json() const {
    auto value = nlohmann::json::parse(out, nullptr, false);
    if (value.is_discarded()) {
        ADD_FAILURE() << "standard output is not JSON; " << describe();
        return nullptr;
    }
    return value;
}

Finished run(const Command& command) {
    const auto program =
        (command.program.empty() ? clearframe_program() : command.program).string();
    std::vector<std::string> arguments{program};
    arguments.insert(arguments.end(), command.arguments.begin(), command.arguments.end());
    auto environment = environment_of(command);

    const bool terminal_out =
        command.terminal == Terminal::out || command.terminal == Terminal::both;
    const bool terminal_err =
        command.terminal == Terminal::err || command.terminal == Terminal::both;
    Pipe terminal = command.terminal == Terminal::none ? Pipe{} : make_terminal();
    Pipe out = make_pipe();
    Pipe err = make_pipe();
    const UniqueFd null(check(::open("/dev/null", O_RDWR | O_CLOEXEC), "/dev/null"));

    const auto argument_list = pointers(arguments);
    const auto environment_list = pointers(environment);
    const pid_t pid = spawn({
        .program = program.c_str(),
        .arguments = argument_list.data(),
        .environment = environment_list.data(),
        .directory = command.directory.empty() ? nullptr : command.directory.c_str(),
        .in = terminal.write ? terminal.write.get() : null.get(),
        .out = terminal_out ? terminal.write.get() : out.write.get(),
        .err = terminal_err ? terminal.write.get() : err.write.get(),
        .terminal = static_cast<bool>(terminal.write),
        .limits = &command.limits,
    });

    Finished finished;
    std::vector<Stream> streams;
    streams.push_back({std::move(out.read), &finished.out});
    streams.push_back({std::move(err.read), &finished.err});
    streams.push_back({std::move(terminal.read), &finished.terminal});
    for (Pipe* pipe : {&out, &err, &terminal})
        pipe->write.reset();
    Running running(command, pid, std::move(streams), finished);
    running.finish();
    running.reap();
    return finished;
}

Finished run_redirected(const std::vector<std::string>& arguments, const std::string& where) {
    Command command{.arguments = {"-c", "\"$0\" \"$@\" " + where, clearframe_program()},
                    .program = "/bin/sh"};
    command.arguments.insert(command.arguments.end(), arguments.begin(), arguments.end());
    return run(command);
}

} // namespace clearframe::test
