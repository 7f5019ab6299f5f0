// `clearframe send`: bench, with the receiver on another host.
#include "commands/bench_report.h"
#include "commands/command.h"
#include "commands/measuring.h"
#include "commands/peer.h"
#include "commands/send_options.h"
#include "pipeline/remote_stream.h"

#include <CLI/CLI.hpp>

#include <memory>
#include <optional>

namespace clearframe {
namespace {

PeerRecord receiver_record(const RemoteStream& stream) {
    const Welcome& welcome = stream.welcome();
    return {.role = "receiver",
            .address = stream.receiver(),
            .program = welcome.program,
            .parts = peer_parts({"heap", "nic"}, welcome.parts)};
}

int send(const SendOptions& options) {
    Measuring measuring(options.bench);
    const HostPort receiver = parse_receiver(options);
    const Nanoseconds patience = measuring.plan.session.patience;
    ExposureMeter exposure;
    const Parts parts = measuring.open();

    BenchRun run(measuring.plan);
    std::optional<RemoteStream> stream;
    Event cancel;
    run_interruptible(
        measuring.interrupts, "cf-connect",
        [&] {
            stream.emplace(
                measuring.plan.session,
                SessionParts{.shared_heap = *parts.shared_heap,
                             .private_heap = *parts.private_heap,
                             .gpu = parts.gpu.get(),
                             .nic = *parts.nic,
                             .exposure = exposure},
                introduction_of(measuring.record),
                ControlConnection::connect(receiver, {.timeout = patience, .cancel = &cancel}),
                cancel);
        },
        [&] { cancel.signal(); });

    RunRecord& record = measuring.record;
    record.role = "sender";
    record.latency = LatencyOf::round_trip;
    record.peer = receiver_record(*stream);
    if (!options.bench.quiet)
        report_peer(measuring.out, *record.peer);
    measuring.run(run, *stream);
    if (const std::optional<std::string> reason = stream->ended_by_receiver()) {
        record.ended_early = true;
        record.warnings.push_back("ended early by the receiver: " + *reason);
    }
    stream.reset();
    record.host_readable_bytes = exposure.peak_bytes();
    return measuring.finish(run, parts, {});
}

} // namespace

std::function<int()> declare_send(CLI::App& app) {
    const auto options = std::make_shared<SendOptions>();
    declare_send_options(app, *options);
    return [options] { return send(*options); };
}

} // namespace clearframe
