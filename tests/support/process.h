// Running a program under test: arguments, environment, a time limit, and everything it said.
#pragma once

#include <nlohmann/json.hpp>

#include <sys/resource.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace clearframe::test {

// Which of the program's streams are a terminal (one of its own, 100 columns) and not a pipe. With
// any of them its standard input is that terminal too; otherwise it is /dev/null.
enum class Terminal { none, out, err, both };

// Sends `signal` once `text` has been printed, on any of the streams.
struct SignalAfter {
    std::string text;
    int signal = 0;
};

struct Command {
    std::vector<std::string> arguments; // of the program, without its name
    // Added to what of the caller's environment a program under test may see: all but what would
    // change its behaviour (LD_PRELOAD, CLEARFRAME_*, layers, colours). Empty: removed.
    std::map<std::string, std::optional<std::string>> environment;
    std::vector<std::filesystem::path> preload; // LD_PRELOAD
    std::filesystem::path directory;            // to run in; empty: the caller's
    Terminal terminal = Terminal::none;
    std::vector<SignalAfter> signals;              // in this order, each text after the one before
    std::vector<std::pair<int, rlim_t>> limits;    // setrlimit, soft and hard
    std::chrono::milliseconds time_limit{120'000}; // then it is killed
    std::filesystem::path program = {};            // empty: clearframe
    // Called with what it has printed to standard output so far, whenever that has become more, and
    // with its process id, which is its own until run() returns. Or empty.
    std::function<void(const std::string& out, pid_t process)> watch = {};
};

struct Finished {
    std::optional<int> status; // exit status, unless killed by a signal
    int signal = 0;            // which one, if so
    bool timed_out = false;    // killed because the time limit had passed
    std::string out; // what it printed to a pipe on standard output, and on standard error
    std::string err;
    std::string terminal; // what it printed to its terminal
    std::size_t signals_sent = 0;

    // All of the above for a failure message.
    std::string describe() const;
    // Standard output as JSON; a test failure and null when it is not.
    nlohmann::json json() const;
};

// Runs the program to its end. Kills it, and what it started, after the time limit. Throws
// std::system_error when it cannot be started.
Finished run(const Command& command);

// Runs clearframe with its streams sent elsewhere by the shell: "> /dev/full".
Finished run_redirected(const std::vector<std::string>& arguments, const std::string& where);

} // namespace clearframe::test
