#include "commands/command.h"

#include "core/error.h"
#include "measure/record.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <signal.h>

#include <cstdio>
#include <new>

namespace clearframe {
namespace {

int fail(const char* what, Failure failure) {
    std::fprintf(stderr, "clearframe: %s\n", what);
    return static_cast<int>(failure);
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

    CLI::App app(
        "clearframe: GPU frames in memory that a confidential VM shares with its devices,\n"
        "sent through a NIC with no copy, and what that saves",
        "clearframe");
    app.set_version_flag("--version", read_environment().program);
    app.require_subcommand(0, 1);
    app.footer(
        "Without a command: bench with its defaults. Exit status: 0 good; 1 the run failed or a\n"
        "frame was lost or corrupt; 2 bad usage; 3 what was named or required cannot be had;\n"
        "4 (doctor) something of the real path is emulated or missing.");
    std::function<int()> chosen;
    std::function<int()> by_default;
    for (const Command& command : commands) {
        CLI::App* sub = app.add_subcommand(command.name, command.summary);
        std::function<int()> body = command.declare(*sub);
        if (!by_default)
            by_default = body;
        sub->callback([&chosen, body] { chosen = body; });
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0)
            return app.exit(error);
        return fail(fmt::format("{}. See clearframe --help", error.what()).c_str(), Failure::usage);
    }
    return run(chosen ? chosen : by_default);
}

} // namespace clearframe
