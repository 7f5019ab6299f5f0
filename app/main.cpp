#include "commands/command.h"

int main(int argc, char** argv) {
    constexpr clearframe::Command commands[] = {
        {"bench", "measure frames sent without a copy against the staging copy",
         clearframe::declare_bench},
    };
    return clearframe::run_command_line(commands, argc, argv);
}
