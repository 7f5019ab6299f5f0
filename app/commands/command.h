// Commands: what the program can be asked to do.
#pragma once

#include <functional>
#include <span>

namespace CLI {
class App;
}

namespace clearframe {

// When a command runs though none was named.
enum class RunsUnasked { never, with_display, without_display };

struct Command {
    const char* name;
    const char* summary; // one line of the help
    // Declares the command's options on `app`; the function it returns runs the command with what
    // was parsed into them, and gives the exit status.
    std::function<int()> (*declare)(CLI::App& app);
    RunsUnasked unasked = RunsUnasked::never;
};

std::function<int()> declare_bench(CLI::App& app);
std::function<int()> declare_demo(CLI::App& app);
std::function<int()> declare_doctor(CLI::App& app);
std::function<int()> declare_heaps(CLI::App& app);
std::function<int()> declare_recv(CLI::App& app);
std::function<int()> declare_send(CLI::App& app);

// Parses the command line, runs the command and reports errors: one line on standard error.
// Without a command, and in an environment with DISPLAY or WAYLAND_DISPLAY or without, the one for
// that runs, which is said. Returns the exit status (core/error.h).
int run_command_line(std::span<const Command> commands, int argc, char** argv);

} // namespace clearframe
