#include "nic/rdma_devices.h"

#include <fmt/format.h>

#include <system_error>

#include <algorithm>
#include <fstream>
#include <string_view>

namespace clearframe {
namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& file) {
    std::ifstream in(file);
    std::string line;
    std::getline(in, line);
    return line;
}

// The names in a folder of /sys, shorter ones first: mlx5_2 before mlx5_10.
std::vector<std::string> names_in(const fs::path& folder) {
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator i(folder, error), end; !error && i != end; i.increment(error))
        names.push_back(i->path().filename());
    std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
        return std::pair(a.size(), a) < std::pair(b.size(), b);
    });
    return names;
}

// How good a GID is to connect by, as perftest and librdmacm choose: routable before link-local.
int rank(std::string_view gid, std::string_view type) {
    if (gid.empty() || gid == "0000:0000:0000:0000:0000:0000:0000:0000")
        return 0;
    const bool ipv4 = gid.starts_with("0000:0000:0000:0000:0000:ffff:");
    const bool link_local = gid.starts_with("fe80:");
    return 1 + (ipv4 ? 4 : link_local ? 0 : 2) + (type == "RoCE v2" ? 1 : 0);
}

RdmaPort read_port(const fs::path& folder) {
    RdmaPort port{.number = folder.filename()};
    // "4: ACTIVE"
    port.state = first_line(folder / "state");
    if (const std::size_t colon = port.state.find(": "); colon != port.state.npos)
        port.state.erase(0, colon + 2);
    port.link_layer = first_line(folder / "link_layer");
    int best = 0;
    for (const std::string& index : names_in(folder / "gids")) {
        const std::string gid = first_line(folder / "gids" / index);
        const std::string type = first_line(folder / "gid_attrs/types" / index);
        if (const int its = rank(gid, type); its > best) {
            best = its;
            port.gid = gid;
            port.gid_type = type;
            port.gid_index = index;
        }
        if (port.netdev.empty())
            port.netdev = first_line(folder / "gid_attrs/ndevs" / index);
    }
    return port;
}

} // namespace

std::vector<RdmaDevice> list_rdma_devices(const fs::path& root) {
    const fs::path classes = root / "sys/class";
    std::vector<RdmaDevice> devices;
    for (const std::string& name : names_in(classes / "infiniband")) {
        RdmaDevice& device = devices.emplace_back();
        device.name = name;
        const fs::path folder = classes / "infiniband" / name;
        std::error_code ignored;
        device.hardware = fs::exists(folder / "device", ignored);
        for (const std::string& port : names_in(folder / "ports"))
            device.ports.push_back(read_port(folder / "ports" / port));
        for (const std::string& node : names_in(classes / "infiniband_verbs"))
            if (first_line(classes / "infiniband_verbs" / node / "ibdev") == name)
                device.node = node;
    }
    return devices;
}

std::string network_device(const fs::path& root) {
    for (const std::string& name : names_in(root / "sys/class/net"))
        if (name != "lo" && first_line(root / "sys/class/net" / name / "operstate") == "up")
            return name;
    return "eth0";
}

std::string soft_roce_advice(const fs::path& root) {
    return fmt::format(
        "Give the machine an RDMA NIC and load its driver; to try it in software: "
        "modprobe rdma_rxe; rdma link add rxe0 type rxe netdev {} (package iproute2)",
        network_device(root));
}

Candidate verbs_candidate() {
    return {.name = "verbs", .detail = "RDMA hardware and soft-RoCE, by libibverbs"};
}

} // namespace clearframe
