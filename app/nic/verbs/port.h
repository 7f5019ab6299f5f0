// How a port of an RDMA device is reached, and by which of its addresses.
#pragma once

#include <cstdint>
#include <infiniband/verbs.h>
#include <string>

namespace clearframe::verbs {

struct Port {
    std::uint8_t number = 1;
    std::uint8_t gid_index = 0;
    bool gid_was_asked_for = false; // by gid=
    bool ethernet = false;          // RoCE: addressed by GID; otherwise by LID
    std::uint16_t lid = 0;
    ibv_gid gid{};
    std::uint32_t interface = 0; // index of the GID's network device; 0 where it has none
    ibv_mtu mtu = IBV_MTU_1024;
    std::uint32_t max_message = 0; // bytes
};

} // namespace clearframe::verbs
