// RDMA devices, through libibverbs: what it says of them, and one of them as NIC. Inside nic/ only.
//
// nic/verbs/ implements it where the program was built with libibverbs, nic/no_verbs.cpp otherwise.
#pragma once

#include "core/choice.h"
#include "memory/dma_buf.h"
#include "nic/nic.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace clearframe {

struct VerbsLibrary {
    bool built_in = false;
    std::string version; // of rdma-core, "44.0"; empty where the library's file does not say
    // Has what queues in shared memory take (ibv_reg_buf_mr() and what came with it in rdma-core
    // 64): without it a device that cannot reach private memory cannot be used at all.
    bool shared_queues = false;
    bool own_buffers = false; // has what the heap "nic" takes (rdma-core 65)
};
VerbsLibrary verbs_library();

// An RDMA device that is open. One thread.
class VerbsDevice {
public:
    virtual ~VerbsDevice() = default;
    // IBV_DEVICE_CC_DMA_BOUNCE: it reaches shared memory alone. Throws Error.
    virtual bool bounces() const = 0;
    // Registers the buffer and takes it back: as a dma-buf (ibv_reg_dmabuf_mr), or by the address
    // of its mapping (ibv_reg_mr). Both throw Error with the call's errno.
    virtual void try_dma_buf(const DmaBuf& buffer) const = 0;
    virtual void try_mapping(const DmaBuf& buffer) const = 0;
    // Makes the queues that a connection takes and gives them up. Throws Error.
    virtual void try_queues() const = 0;
};

// Throws Error: unavailable, where it cannot be opened or the program was built without libibverbs.
std::unique_ptr<VerbsDevice> open_verbs_device(std::string_view name);

// The NIC `verbs` as a candidate: usable where a device can be opened, has a port that is ready and
// takes queues. Of the picture of another machine only what its files say.
Candidate probe_verbs(const std::filesystem::path& root);

// Opens the device that the options ask for (nic/verbs/options.h), or the best one, of those that
// /sys names; `root` stands in for "/" in tests. Throws Error.
std::unique_ptr<Nic> make_verbs_nic(std::string_view options,
                                    const std::filesystem::path& root = "/");

} // namespace clearframe
