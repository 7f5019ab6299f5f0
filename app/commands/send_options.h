// What `clearframe send` and `clearframe recv` were asked to do.
#pragma once

#include "commands/bench_options.h"
#include "pipeline/control.h"
#include "ui/display.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace clearframe {

struct SendOptions {
    std::string receiver; // HOST[:PORT]
    BenchOptions bench;
};
void declare_send_options(CLI::App& app, SendOptions& options);
// Throws Error of usage.
HostPort parse_receiver(const SendOptions& options);

struct RecvOptions {
    std::string listen = "127.0.0.1:18517";
    std::string heap = "auto";
    std::string nic = "emulated";
    double memory_mib = 1024;
    double timeout = 30; // seconds
    bool keep = false;
    std::optional<std::string> json;
    std::optional<std::string> capture;
    std::optional<std::string> present;
    bool show = false;
    bool offscreen = false;
    std::optional<std::string> screenshot;
    std::vector<std::string> require;
    bool quiet = false;
};
void declare_recv_options(CLI::App& app, RecvOptions& options);

// The options in the program's own terms. Throws Error of usage.
struct RecvPlan {
    HostPort listen;
    std::uint64_t most_memory = 0; // bytes
    Nanoseconds patience = 0;
    std::optional<std::string> screen;     // to show frames on, as Screen::open() takes it
    std::optional<DisplayOptions> display; // of the window that is to show them
};
RecvPlan make_recv_plan(const RecvOptions& options);

// Option name → JSON text, for the record.
std::map<std::string, std::string> recv_config(const RecvOptions& options);

} // namespace clearframe
