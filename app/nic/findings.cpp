#include "nic/findings.h"

#include "memory/findings.h"
#include "memory/guest.h"
#include "nic/nic.h"
#include "nic/rdma_devices.h"
#include "nic/verbs.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace clearframe {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t trial_bytes = 65536;

using Heaps = std::vector<std::unique_ptr<Heap>>;

bool any_real(const std::vector<Candidate>& nics) {
    for (const Candidate& nic : nics)
        if (nic.usable && !nic.emulated)
            return true;
    return false;
}

// What a start has to choose from.
Finding nic_finding(const Candidate& nic, bool real_is_there) {
    const std::string subject = "NIC " + nic.name;
    if (!nic.usable) {
        Finding finding = not_usable(nic, Health::missing);
        finding.subject = subject;
        return finding;
    }
    if (nic.emulated && !real_is_there)
        return {subject, Health::attention,
                fmt::format("{}, emulated: {}", nic.detail, nic.emulation),
                "See the RDMA devices below"};
    return {.subject = subject, .sentence = nic.detail};
}

Finding library_finding(const VerbsLibrary& library, bool confidential) {
    if (!library.built_in)
        return {"libibverbs", Health::missing, "this program was built without it",
                "On Debian: apt install libibverbs-dev librdmacm-dev, and build it again"};
    const std::string name =
        library.version.empty() ? "its version is unknown" : "rdma-core " + library.version;
    if (!library.shared_queues)
        return {"libibverbs", confidential ? Health::missing : Health::attention,
                name + ": too old for queues in shared memory, which a NIC in a confidential "
                       "guest needs",
                "Install rdma-core 64 or later"};
    return {.subject = "libibverbs",
            .sentence = library.own_buffers ? name : name + "; --heap nic takes rdma-core 65"};
}

Finding no_device(const fs::path& root) {
    return {"devices", Health::missing, "/sys/class/infiniband has none", soft_roce_advice(root)};
}

Finding port_finding(const RdmaDevice& device, const RdmaPort& port) {
    const std::string subject = fmt::format("{} port {}", device.name, port.number);
    const std::string state =
        fmt::format("{}, {}", port.state.empty() ? "of a state that /sys does not say" : port.state,
                    port.link_layer.empty() ? "link unknown" : port.link_layer);
    if (!port.active())
        return {subject, Health::missing, state,
                !port.netdev.empty()
                    ? fmt::format("ip link set {} up, and look after its cable", port.netdev)
                    : "Look after its cable, and run a subnet manager (opensm)"};
    if (port.gid.empty())
        return {subject, Health::missing, state + ", without a GID",
                port.netdev.empty() ? "Run a subnet manager (opensm)"
                                    : fmt::format("Give {} an address: ip addr add ADDRESS/LENGTH "
                                                  "dev {}",
                                                  port.netdev, port.netdev)};
    return {.subject = subject,
            .sentence =
                fmt::format("{}, GID {} {}{}", state, port.gid_index, port.gid,
                            port.gid_type.empty() ? "" : fmt::format(" ({})", port.gid_type))};
}

bool any_port_ready(const RdmaDevice& device) {
    return std::any_of(device.ports.begin(), device.ports.end(),
                       [](const RdmaPort& port) { return port.ready(); });
}

std::vector<ImportTrial> try_heaps(const Heaps& heaps, const std::string& importer,
                                   const std::function<void(const DmaBuf&)>& step) {
    std::vector<ImportTrial> trials;
    for (const std::unique_ptr<Heap>& heap : heaps) {
        ImportTrial& trial = trials.emplace_back(ImportTrial{heap->name(), importer, {}});
        try {
            ExposureMeter meter;
            step(trial_buffer(*heap, trial_bytes, meter));
        } catch (const Error& error) {
            trial.error = error.reason();
        }
    }
    return trials;
}

Finding bounce_finding(const RdmaDevice& device, bool bounces) {
    return {.subject = device.name + ", CC_DMA_BOUNCE",
            .sentence = bounces ? "reported: it reaches shared memory alone"
                                : "not reported: it reaches ordinary memory too"};
}

// Made as a connection makes them: in shared memory, where the device reaches nothing else.
Finding queues_finding(const RdmaDevice& device, const VerbsDevice& verbs) {
    const std::string subject = device.name + ", queues";
    try {
        verbs.try_queues();
        return {.subject = subject, .sentence = "a completion queue and a queue pair can be made"};
    } catch (const Error& error) {
        return failed(subject, Health::missing, error);
    }
}

void try_device(const RdmaDevice& device, const Heaps& heaps, Report& report) {
    const std::unique_ptr<VerbsDevice> verbs = open_verbs_device(device.name);
    report.findings.push_back(bounce_finding(device, verbs->bounces()));
    report.findings.push_back(queues_finding(device, *verbs));
    const bool queues = report.findings.back().health == Health::good;

    const std::vector<ImportTrial> dma_buf =
        try_heaps(heaps, device.name + ", ibv_reg_dmabuf_mr",
                  [&](const DmaBuf& buffer) { verbs->try_dma_buf(buffer); });
    const std::vector<ImportTrial> mapping =
        try_heaps(heaps, device.name + ", ibv_reg_mr of the mapping",
                  [&](const DmaBuf& buffer) { verbs->try_mapping(buffer); });
    std::vector<ImportTrial> telling;
    for (std::size_t i = 0; i < heaps.size(); ++i) {
        if (heaps[i]->makes_dma_bufs())
            telling.push_back(dma_buf[i]);
        if (dma_buf[i].imported() && device.hardware && queues && any_port_ready(device))
            report.real.push_back({heaps[i]->name(), device.name});
    }
    report.findings.push_back(
        summary(device.name + ", dma-bufs", "registered", telling,
                telling.empty() ? "See the heaps: it takes dma-bufs, and system or udmabuf would do"
                                : "Drivers that can: mlx5, efa, irdma, bnxt_re, ionic, mana"));
    report.trials.insert(report.trials.end(), dma_buf.begin(), dma_buf.end());
    report.trials.insert(report.trials.end(), mapping.begin(), mapping.end());
}

void report_device(const fs::path& root, const RdmaDevice& device, const Heaps& heaps,
                   Report& report) {
    if (device.hardware)
        report.findings.push_back(
            {.subject = device.name, .sentence = "there is hardware behind it"});
    else
        report.findings.push_back({device.name, Health::attention,
                                   "emulated, the kernel plays the NIC (soft-RoCE or siw)",
                                   "Give the machine an RDMA NIC"});
    for (const RdmaPort& port : device.ports)
        report.findings.push_back(port_finding(device, port));
    if (device.node.empty()) {
        report.findings.push_back({device.name + ", verbs", Health::missing,
                                   "user space has no way to it: ib_uverbs is not loaded",
                                   "modprobe ib_uverbs (CONFIG_INFINIBAND_USER_ACCESS)"});
        return;
    }
    if (root != "/") {
        report.findings.push_back({device.name + ", verbs", Health::attention,
                                   "not tried: drivers belong to a running machine",
                                   "Run the doctor there, without --root"});
        return;
    }
    try {
        try_device(device, heaps, report);
    } catch (const Error& error) {
        report.findings.push_back(failed(device.name + ", verbs", Health::missing, error));
    }
}

} // namespace

Report report_nics(const fs::path& root) {
    Report report;
    const std::vector<Candidate> nics = probe_nics(root);
    const bool usable = any_real(nics);
    for (const Candidate& nic : nics)
        if (root == "/" || nic.usable) // of a picture's, what is said of each device has to do
            report.findings.push_back(nic_finding(nic, usable));
    const VerbsLibrary library = verbs_library();
    if (root == "/") // a picture has a library of its own
        report.findings.push_back(library_finding(library, detect_guest(root).confidential()));

    const std::vector<RdmaDevice> devices = list_rdma_devices(root);
    const Heaps heaps = usable_heaps(root);
    for (const RdmaDevice& device : devices)
        report_device(root, device, heaps, report);
    if (devices.empty())
        report.findings.push_back(no_device(root));
    return report;
}

} // namespace clearframe
