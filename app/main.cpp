#include "commands/command.h"

int main(int argc, char** argv) {
    constexpr clearframe::Command commands[] = {
        {"demo", "show it in a window, live: frames as received, and what is saved",
         clearframe::declare_demo, clearframe::RunsUnasked::with_display},
        {"bench", "measure frames sent without a copy against the staging copy",
         clearframe::declare_bench, clearframe::RunsUnasked::without_display},
        {"send", "bench, with the receiver on another host: frames to a clearframe recv",
         clearframe::declare_send},
        {"recv", "receive the frames that a clearframe send sends, verify and measure them",
         clearframe::declare_recv},
        {"doctor", "say what this machine has of the real path, and what would mend the rest",
         clearframe::declare_doctor},
        {"heaps", "list the heaps that frame memory can come from, and time them",
         clearframe::declare_heaps},
    };
    return clearframe::run_command_line(commands, argc, argv);
}
