// `clearframe doctor`: will this machine do it, and if not, what has to change?
#include "commands/command.h"
#include "commands/doctor_report.h"
#include "commands/probes.h"
#include "commands/terminal.h"
#include "core/error.h"
#include "core/result_file.h"
#include "gpu/findings.h"
#include "memory/findings.h"
#include "memory/guest.h"
#include "nic/findings.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>

namespace clearframe {
namespace {

namespace fs = std::filesystem;

struct DoctorOptions {
    std::string root = "/";
    double timeout = 2; // seconds
    std::optional<std::string> json;
    bool quiet = false;
};

struct Section {
    const char* name;
    Report (*report)(const fs::path& root);
};
constexpr Section sections[] = {
    {"guest", report_guest},     {"kernel", report_kernel}, {"heaps", report_heaps},
    {"swiotlb", report_swiotlb}, {"Vulkan", report_vulkan}, {"DRM", report_drm},
    {"RDMA", report_nics},       {"limits", report_limits},
};

Nanoseconds check_timeout(double seconds) {
    if (!std::isfinite(seconds) || seconds <= 0 || seconds > 3600)
        throw Error(Failure::usage, fmt::format("--timeout '{}' makes no sense", seconds), {},
                    "Expected seconds, more than 0 and at most 3600");
    return static_cast<Nanoseconds>(seconds * 1e9);
}

// "/" however it was written: only there are drivers asked.
fs::path check_root(const std::string& text) {
    std::error_code error;
    if (!fs::is_directory(text, error))
        throw Error(Failure::usage, fmt::format("--root '{}' is no directory", text), {},
                    "Name a directory that holds another machine's /proc, /sys, /dev and /boot");
    return fs::equivalent(text, "/", error) ? fs::path("/") : fs::path(text);
}

int doctor(const DoctorOptions& options) {
    const Nanoseconds timeout = check_timeout(options.timeout);
    const fs::path root = check_root(options.root);
    std::vector<Probe> probes;
    for (const Section& section : sections)
        probes.push_back({section.name, [&section, &root] { return section.report(root); }});

    Terminal out(options.json == "-" ? stderr : stdout);
    Terminal err(stderr);
    DoctorRecord record;
    record.environment = read_environment(root);
    record.environment.guest = detect_guest(root).kind;
    if (const std::string release = kernel_release(root); root != "/")
        record.environment.kernel = release.empty() ? "unknown" : release;
    record.root = root;
    std::vector<Report> reports = run_probes(probes, timeout, [&](const std::string& names) {
        err.progress(fmt::format("waiting for {}", names));
    });
    err.clear_progress();
    for (std::size_t i = 0; i < reports.size(); ++i)
        record.sections.push_back({sections[i].name, std::move(reports[i])});

    if (!options.quiet)
        report_doctor(out, record, out.width());
    // Not opened before: Ctrl-C ends the doctor at once, and nothing is to be left behind.
    if (options.json)
        ResultFile(*options.json).commit(to_json(record));
    out.check();
    return record.real_path().whole ? 0 : static_cast<int>(Failure::not_real);
}

} // namespace

std::function<int()> declare_doctor(CLI::App& app) {
    const auto options = std::make_shared<DoctorOptions>();
    app.add_option("--json", options->json, "write what was found there; - is standard output")
        ->option_text("FILE");
    app.add_option("--timeout", options->timeout, "how long to wait for drivers that hang")
        ->option_text("S [2]");
    app.add_option("--root", options->root,
                   "look at the picture of another machine: a directory with its /proc, /sys, /dev "
                   "and /boot")
        ->option_text("DIR [/]");
    app.add_flag("--quiet", options->quiet, "print errors only");
    app.footer("Changes nothing. Exit status: 0 the whole real path is there; 4 something is\n"
               "emulated or missing.");
    return [options] { return doctor(*options); };
}

} // namespace clearframe
