#include "commands/command.h"

#include "core/error.h"
#include "measure/record.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <new>

namespace clearframe {
namespace {

int fail(const char* what, Failure failure) {
    std::fprintf(stderr, "clearframe: %s\n", what);
    return static_cast<int>(failure);
}

bool is_set(const char* name) {
    const char* value = std::getenv(name);
    return value && *value;
}

// A standard stream that was closed (`>&-`) would be the next file that is opened, and what is
// printed would end in it: in a frame. What takes its place refuses to be read or written.
void take_standard_streams() {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (fcntl(fd, F_GETFD) < 0)
            // Gets the lowest number that is free: this one.
            [[maybe_unused]]
            const int taken = open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int run(const std::function<int()>& command) {
    try {
        return command();
    } catch (const Error& error) {
        return fail(error.what(), error.failure());
    } catch (const std::bad_alloc&) {
        return fail("out of memory. A smaller --size or --ring needs less", Failure::run);
    } catch (const std::exception& error) {
        return fail(error.what(), Failure::run);
    }
}

} // namespace

int run_command_line(std::span<const Command> commands, int argc, char** argv) {
    // A reader that goes away (`clearframe bench | head`) shows as EPIPE where it is handled.
    signal(SIGPIPE, SIG_IGN);
    // Likewise a file over the limit of sizes (ulimit -f), as EFBIG.
    signal(SIGXFSZ, SIG_IGN);
    take_standard_streams();

    CLI::App app(
        "clearframe: GPU frames in memory that a confidential VM shares with its devices,\n"
        "sent through a NIC with no copy, and what that saves",
        "clearframe");
    app.set_version_flag("--version", read_environment().program);
    app.require_subcommand(0, 1);
    app.footer(
        "Without a command: demo where there is a display (DISPLAY or WAYLAND_DISPLAY is set),\n"
        "otherwise bench. Exit status: 0 good; 1 the run failed or a frame was lost or corrupt;\n"
        "2 bad usage; 3 what was named or required cannot be had; 4 (doctor) something of the\n"
        "real path is emulated or missing.");
    std::function<int()> chosen;
    std::function<int()> by_default;
    const char* default_name = nullptr;
    const RunsUnasked unasked = is_set("DISPLAY") || is_set("WAYLAND_DISPLAY")
                                    ? RunsUnasked::with_display
                                    : RunsUnasked::without_display;
    for (const Command& command : commands) {
        CLI::App* sub = app.add_subcommand(command.name, command.summary);
        std::function<int()> body = command.declare(*sub);
        if (command.unasked == unasked) {
            by_default = body;
            default_name = command.name;
        }
        sub->callback([&chosen, body] { chosen = body; });
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0)
            return app.exit(error);
        return fail(fmt::format("{}. See clearframe --help", error.what()).c_str(), Failure::usage);
    }
    if (chosen)
        return run(chosen);
    std::fprintf(stderr, "clearframe: no command given: %s, as there is %s display\n", default_name,
                 unasked == RunsUnasked::with_display ? "a" : "no");
    return run(by_default);
}

} // namespace clearframe
