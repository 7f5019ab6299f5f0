// The RDMA devices of a machine as /sys/class/infiniband shows them: to anyone, and without
// libibverbs. Inside nic/ only.
#pragma once

#include "core/choice.h"

#include <filesystem>
#include <string>
#include <vector>

namespace clearframe {

struct RdmaPort {
    std::string number;     // "1"
    std::string state;      // "ACTIVE", "DOWN"
    std::string link_layer; // "Ethernet", "InfiniBand"
    std::string gid;      // the best one: of RoCE v2, of an IPv4 address; empty where there is none
    std::string gid_type; // "RoCE v2"
    std::string gid_index; // "1"
    std::string netdev;    // "eth0"; empty where it has none

    bool active() const { return state == "ACTIVE"; }
    bool ready() const { return active() && !gid.empty(); } // to be connected by
};

struct RdmaDevice {
    std::string name;      // "mlx5_0"
    std::string node;      // "uverbs0"; empty where ib_uverbs is not loaded
    bool hardware = false; // there is a device behind it; soft-RoCE and siw have none
    std::vector<RdmaPort> ports;
};

// In the order of their names. Empty where there is none.
std::vector<RdmaDevice> list_rdma_devices(const std::filesystem::path& root);

// A network device to put soft-RoCE on: the first that is up and no loopback; "eth0" where there is
// none.
std::string network_device(const std::filesystem::path& root);

// How a machine without an RDMA device gets one; a sentence without its full stop.
std::string soft_roce_advice(const std::filesystem::path& root);

// The NIC `verbs` as a candidate of which nothing is known yet.
Candidate verbs_candidate();

} // namespace clearframe
