#include "commands/send_options.h"

#include "core/error.h"
#include "core/units.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cmath>

namespace clearframe {

void declare_send_options(CLI::App& app, SendOptions& options) {
    app.add_option("receiver", options.receiver,
                   "where clearframe recv listens: HOST, HOST:PORT, [IPV6]:PORT; port 18517 if "
                   "none is given")
        ->required()
        ->option_text("HOST[:PORT]");
    declare_measure_options(app, options.bench);
}

HostPort parse_receiver(const SendOptions& options) {
    return known_value(parse_host_port(options.receiver), "receiver", options.receiver,
                       "HOST, HOST:PORT or [IPV6]:PORT");
}

void declare_recv_options(CLI::App& app, RecvOptions& options) {
    app.add_option("--listen", options.listen,
                   "where senders call, over TCP; 0.0.0.0:PORT is every address of this machine: "
                   "whoever reaches it may send")
        ->option_text("ADDR:PORT [127.0.0.1:18517]");
    app.add_option("--heap", options.heap, "where frame memory comes from, as for bench")
        ->option_text("NAME [auto]");
    app.add_option("--nic", options.nic,
                   "of the same kind as the sender's: verbs[:…], emulated[:…] (both ends on one "
                   "machine), auto; as for bench")
        ->option_text("NIC [emulated]");
    app.add_option("--memory", options.memory_mib, "MiB that a sender's frames may take")
        ->option_text("MIB [1024]");
    app.add_option("--timeout", options.timeout,
                   "give a sender up that says and sends nothing for so long")
        ->option_text("S [30]");
    app.add_flag("--keep", options.keep,
                 "take one sender after the other, until Ctrl-C, whatever becomes of each");
    app.add_option("--json", options.json,
                   "write what was received there; - is standard output, with --keep a document "
                   "for each sender")
        ->option_text("FILE");
    app.add_option("--capture", options.capture, "write the first good frame of a sender there")
        ->option_text("FILE.png");
    auto* present =
        app.add_option("--present", options.present,
                       "show the received frames, in the buffers they came in: kms, kms:card0, "
                       "kms:DRIVER")
            ->option_text("WHERE");
    auto* show = app.add_flag("--show", options.show,
                              "show the received frames in a window, out of the buffers they came "
                              "in, with what is measured here; Q ends it as Ctrl-C does")
                     ->excludes(present);
    auto* screenshot = app.add_option("--screenshot", options.screenshot,
                                      "write a picture of that window there at the end")
                           ->option_text("FILE.png")
                           ->needs(show);
    app.add_flag("--offscreen", options.offscreen, "draw the same without a window")
        ->needs(screenshot);
    app.add_option("--require", options.require, "parts that must be real, not emulated: heap, nic")
        ->delimiter(',')
        ->option_text("LIST");
    app.add_flag("--quiet", options.quiet, "print errors and what went wrong only");
}

RecvPlan make_recv_plan(const RecvOptions& options) {
    RecvPlan plan;
    plan.listen = known_value(parse_host_port(options.listen), "--listen", options.listen,
                              "ADDR:PORT, like 127.0.0.1:18517 or [::1]:18517");
    if (!std::isfinite(options.memory_mib) || options.memory_mib < 1 || options.memory_mib > 1e9)
        refuse_option("--memory", fmt::format("{}", options.memory_mib), "MiB, from 1");
    plan.most_memory = static_cast<std::uint64_t>(options.memory_mib * static_cast<double>(MiB));
    plan.patience = parse_seconds("--timeout", options.timeout);
    for (const std::string& part : options.require)
        if (part != "heap" && part != "nic")
            refuse_option("--require", part, "heap or nic");
    if (options.keep && options.json && *options.json != "-")
        refuse_option("--json", *options.json,
                      "- with --keep: a file holds one sender's record alone");
    if (options.json && options.json == options.capture)
        refuse_option("--capture", *options.capture, "another file than --json writes");
    if (options.screenshot &&
        (options.screenshot == options.json || options.screenshot == options.capture))
        refuse_option("--screenshot", *options.screenshot,
                      "another file than --json and --capture write");
    if (options.show)
        plan.display = {.window = !options.offscreen, .gpu = {}};
    if (options.present)
        plan.screen = parse_present(*options.present);
    return plan;
}

std::map<std::string, std::string> recv_config(const RecvOptions& options) {
    const nlohmann::json config{
        {"listen", options.listen},
        {"heap", options.heap},
        {"nic", options.nic},
        {"memory_mib", options.memory_mib},
        {"timeout_s", options.timeout},
        {"keep", options.keep},
        {"require", options.require},
        {"show", options.show},
        {"present", options.present ? nlohmann::json(*options.present) : nlohmann::json(nullptr)},
    };
    std::map<std::string, std::string> texts;
    for (const auto& [name, value] : config.items())
        texts[name] = value.dump();
    return texts;
}

} // namespace clearframe
