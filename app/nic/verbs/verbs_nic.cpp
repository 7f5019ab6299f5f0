// RDMA hardware, or soft-RoCE, as a NIC of this program.
#include "core/error.h"
#include "core/units.h"
#include "nic/plain_writes.h"
#include "nic/rdma_devices.h"
#include "nic/verbs.h"
#include "nic/verbs/connection.h"
#include "nic/verbs/device.h"
#include "nic/verbs/nic_heap.h"
#include "nic/verbs/options.h"
#include "nic/verbs/queue_pair.h"

#include <fmt/format.h>

#include <errno.h>

#include <algorithm>
#include <charconv>

namespace clearframe {
namespace verbs {
namespace {

constexpr std::uint32_t plain_in_flight = 8;      // more than a NIC has use for
constexpr std::uint32_t message_limit = 1u << 30; // what every range here fits into

// The dma-buf; where the device cannot, the mapping, if its pages can be pinned. No copy either
// way.
Registration register_buffer(const Device& device, const DmaBuf& buffer, RemoteAccess access) {
    std::string refused;
    try {
        return device.register_dma_buf(buffer, access);
    } catch (const Error& error) {
        refused = error.reason();
    }
    try {
        return device.register_mapping(buffer, access);
    } catch (const Error& error) {
        refused += fmt::format("; {}", error.reason());
    }
    throw Error(
        Failure::unavailable,
        fmt::format("NIC {}: registering {} of heap {}", device.name(), bytes_text(buffer.size()),
                    buffer.heap()),
        refused,
        "clearframe doctor shows which heaps each device takes. Drivers that take dma-bufs: "
        "mlx5, efa, irdma, bnxt_re, ionic, mana; soft-RoCE takes memory that can be pinned: "
        "--heap udmabuf or memfd");
}

class VerbsRegion final : public MemoryRegion {
public:
    VerbsRegion(const Device& device, const DmaBuf& buffer, RemoteAccess access)
        : device_(device), access_(access), registration_(register_buffer(device, buffer, access)) {
        identity_ = BufferIdentity::of(buffer.fd());
        lkey_ = registration_.region->lkey;
        rkey_ = registration_.region->rkey;
        address_ = registration_.address;
        length_ = buffer.size();
    }
    bool is_of(const Device& device) const noexcept { return &device_ == &device; }
    bool is_target() const noexcept { return access_ == RemoteAccess::write; }

private:
    const Device& device_;
    RemoteAccess access_;
    Registration registration_;
};

int number_of(const std::string& text) {
    int number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

const RdmaDevice& choose_device(const std::vector<RdmaDevice>& devices, const std::string& name) {
    std::string names;
    for (const RdmaDevice& device : devices) {
        if (device.name == name)
            return device;
        names += fmt::format("{}{}", names.empty() ? "" : ", ", device.name);
    }
    throw Error(Failure::usage, fmt::format("NIC verbs: there is no RDMA device {}", name), {},
                fmt::format("Name one of: {}", names.empty() ? "none is there" : names));
}

// Of a device, the port that was asked for, or the first that is ready.
const RdmaPort& choose_port(const RdmaDevice& device, std::optional<std::uint8_t> number) {
    std::string reasons;
    for (const RdmaPort& port : device.ports) {
        if (number && number_of(port.number) != *number)
            continue;
        if (port.ready())
            return port;
        reasons += fmt::format("{}port {} is {}{}", reasons.empty() ? "" : "; ", port.number,
                               port.state.empty() ? "of an unknown state" : port.state,
                               port.gid.empty() ? ", without a GID" : "");
    }
    throw Error(Failure::unavailable, fmt::format("NIC {}: no port can be used", device.name),
                reasons.empty() ? fmt::format("it has no port {}", number ? *number : 1) : reasons,
                "clearframe doctor says what each port is missing");
}

ibv_mtu mtu_of(std::uint32_t bytes) {
    return bytes >= 4096   ? IBV_MTU_4096
           : bytes >= 2048 ? IBV_MTU_2048
           : bytes >= 1024 ? IBV_MTU_1024
           : bytes >= 512  ? IBV_MTU_512
                           : IBV_MTU_256;
}

Port open_port(const Device& device, const RdmaPort& found, const VerbsOptions& options) {
    Port port{.number = static_cast<std::uint8_t>(number_of(found.number)),
              .gid_index =
                  options.gid.value_or(static_cast<std::uint8_t>(number_of(found.gid_index))),
              .gid_was_asked_for = options.gid.has_value()};
    ibv_port_attr attributes{};
    if (const int error = ibv_query_port(device.context(), port.number, &attributes))
        throw_errno(error, fmt::format("{}: ibv_query_port {}", device.name(), port.number), {},
                    Failure::unavailable);
    port.ethernet = attributes.link_layer == IBV_LINK_LAYER_ETHERNET;
    port.lid = attributes.lid;
    port.max_message = std::min(attributes.max_msg_sz, message_limit);
    port.mtu = attributes.active_mtu;
    if (options.mtu > 0 && mtu_of(options.mtu) > port.mtu)
        throw Error(Failure::unavailable,
                    fmt::format("NIC {}: mtu={} is more than port {} has now", device.name(),
                                options.mtu, port.number),
                    {}, "ip link set DEVICE mtu gives the network device a larger one");
    if (options.mtu > 0)
        port.mtu = mtu_of(options.mtu);
    ibv_gid_entry entry{};
    if (const int error =
            ibv_query_gid_ex(device.context(), port.number, port.gid_index, &entry, 0))
        throw_errno(error,
                    fmt::format("{}: ibv_query_gid_ex {} of port {}", device.name(), port.gid_index,
                                port.number),
                    "ls /sys/class/infiniband/*/ports/*/gids shows which there are",
                    Failure::unavailable);
    port.gid = entry.gid;
    port.interface = entry.ndev_ifindex;
    return port;
}

std::string emulation_text(const RdmaDevice& device) {
    return device.hardware ? ""
                           : "soft-RoCE or siw: this machine's kernel plays the NIC, and its CPU "
                             "moves the bytes";
}

class VerbsNic final : public Nic {
public:
    VerbsNic(const RdmaDevice& found, const VerbsOptions& options)
        : VerbsNic(found, choose_port(found, options.port), options) {}

    std::unique_ptr<MemoryRegion> register_memory(const DmaBuf& buffer,
                                                  RemoteAccess access) override {
        if (buffer.exposure() != Exposure::shared)
            throw_errno(EOPNOTSUPP,
                        fmt::format("NIC {}: registering {} of private memory", device_.name(),
                                    bytes_text(buffer.size())),
                        "A NIC reaches only memory that is shared with the host");
        return std::make_unique<VerbsRegion>(device_, buffer, access);
    }

    std::unique_ptr<Heap> open_heap() override { return open_nic_heap(device_); }

    EndpointPair connect_within(std::uint32_t in_flight) override {
        const std::uint32_t depth = device_.queue_depth(in_flight);
        auto sender = std::make_unique<VerbsEndpoint>(device_, port_, options_, depth);
        auto receiver = std::make_unique<VerbsEndpoint>(device_, port_, options_, depth);
        VerbsEndpoint::connect(*sender, *receiver);
        return {.sender = std::move(sender), .receiver = std::move(receiver)};
    }

    std::unique_ptr<Listener> listen() override { return verbs::listen(device_, port_, options_); }

    std::unique_ptr<Endpoint> connect_to(std::string_view address, const ConnectionKey& key,
                                         std::uint32_t in_flight,
                                         const Patience& patience) override {
        return verbs::connect_to(device_, port_, options_, address, key, in_flight, patience);
    }

    double plain_gbytes_per_s(std::span<const MemoryRegion* const> source,
                              std::span<const MemoryRegion* const> target,
                              Nanoseconds duration) override;

    Nanoseconds emulation_cpu() const override { return 0; } // the kernel's is not to be told apart

private:
    VerbsNic(const RdmaDevice& found, const RdmaPort& port, const VerbsOptions& options)
        : Nic({.name = "verbs",
               .detail = fmt::format(
                   "{} port {}, GID {} {}{}{}", found.name, port.number,
                   options.gid ? std::to_string(*options.gid) : port.gid_index,
                   options.gid ? "" : port.gid,
                   port.gid_type.empty() ? "" : fmt::format(" ({})", port.gid_type),
                   options.queue_pairs > 1 ? fmt::format(", {} queue pairs", options.queue_pairs)
                                           : ""),
               .emulated = !found.hardware,
               .emulation = emulation_text(found),
               .thread = {}}),
          options_(options),
          device_(found.name),
          port_(open_port(device_, port, options)) {
        set_max_message(port_.max_message);
    }

    const VerbsRegion* own(const MemoryRegion* region) const {
        const auto* const mine = dynamic_cast<const VerbsRegion*>(region);
        return mine && mine->is_of(device_) ? mine : nullptr;
    }

    VerbsOptions options_;
    Device device_;
    Port port_;
};

double VerbsNic::plain_gbytes_per_s(std::span<const MemoryRegion* const> source,
                                    std::span<const MemoryRegion* const> target,
                                    Nanoseconds duration) {
    const auto is_source = [&](const MemoryRegion* region) { return own(region) != nullptr; };
    const auto is_target = [&](const MemoryRegion* region) {
        return own(region) && own(region)->is_target();
    };
    if (source.empty() || target.empty() || !std::all_of(source.begin(), source.end(), is_source) ||
        !std::all_of(target.begin(), target.end(), is_target))
        throw Error(Failure::run,
                    fmt::format("NIC {}: measuring its plain transfer", device_.name()), {},
                    "It takes memory registered with this NIC, the target for writing");
    std::vector<RemoteRange> ranges;
    for (const MemoryRegion* const region : target)
        ranges.push_back(
            {.address = region->address(), .length = region->length(), .rkey = region->rkey()});
    const EndpointPair ends = connect_within(plain_in_flight);
    return plain_writes(*ends.sender, source, ranges, duration);
}

// Whether a start could use it, by opening it and making its queues.
std::string refusal_of(const RdmaDevice& device) {
    try {
        choose_port(device, {});
        open_verbs_device(device.name)->try_queues();
        return {};
    } catch (const Error& error) {
        return error.what();
    }
}

// Hardware before what the kernel plays; `reasons` says why others, or all, were not taken.
const RdmaDevice* best_rdma_device(const std::vector<RdmaDevice>& devices, std::string& reasons) {
    for (const bool hardware : {true, false})
        for (const RdmaDevice& device : devices) {
            if (device.hardware != hardware)
                continue;
            const std::string refusal = refusal_of(device);
            if (refusal.empty())
                return &device;
            reasons += fmt::format("{}{}", reasons.empty() ? "" : "; ", refusal);
        }
    return nullptr;
}

} // namespace
} // namespace verbs

Candidate probe_verbs(const std::filesystem::path& root) {
    Candidate verbs = verbs_candidate();
    const std::vector<RdmaDevice> devices = list_rdma_devices(root);
    if (devices.empty()) {
        verbs.mend = soft_roce_advice(root);
        verbs.refusal = fmt::format("/sys/class/infiniband has no device. {}", verbs.mend);
    } else if (root != "/") {
        verbs.mend = "Run the doctor there, without --root";
        verbs.refusal =
            fmt::format("not tried: drivers belong to a running machine. {}", verbs.mend);
    } else if (const RdmaDevice* const best = verbs::best_rdma_device(devices, verbs.refusal)) {
        verbs.usable = true;
        verbs.refusal.clear();
        verbs.emulated = !best->hardware;
        verbs.emulation = verbs::emulation_text(*best);
    }
    return verbs;
}

std::unique_ptr<Nic> make_verbs_nic(std::string_view text, const std::filesystem::path& root) {
    const VerbsOptions options = parse_verbs_options(text);
    const std::vector<RdmaDevice> devices = list_rdma_devices(root);
    if (!options.device.empty())
        return std::make_unique<verbs::VerbsNic>(verbs::choose_device(devices, options.device),
                                                 options);
    std::string reasons;
    const RdmaDevice* const best = verbs::best_rdma_device(devices, reasons);
    if (!best)
        throw Error(Failure::unavailable, "NIC verbs: no RDMA device can be used", reasons,
                    soft_roce_advice(root));
    return std::make_unique<verbs::VerbsNic>(*best, options);
}

} // namespace clearframe
