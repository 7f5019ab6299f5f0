// An open RDMA device: its context and the domain that everything on it belongs to.
#pragma once

#include "nic/nic.h"
#include "nic/verbs/handles.h"

#include <string>
#include <string_view>

namespace clearframe::verbs {

// A buffer's registration. `mapping` is held where that, not the dma-buf, was registered.
struct Registration {
    Region region;
    Mapping mapping;
    std::uint64_t address = 0; // of its first byte, for the peer
};

// Throws Error.
void set_nonblocking(int fd);

// Thread-safe, but for its destruction. Outlives everything made on it.
class Device {
public:
    // Throws Error: unavailable, with the call's errno.
    explicit Device(std::string_view name);

    const std::string& name() const noexcept { return name_; }
    ibv_context* context() const noexcept { return context_.get(); }
    // What regions and queues are made on: in a confidential guest a parent domain that lets queues
    // lie in shared memory, where the library and the driver have such.
    ibv_pd* domain() const noexcept { return parent_ ? parent_.get() : pd_.get(); }
    // IBV_DEVICE_CC_DMA_BOUNCE: it reaches shared memory alone.
    bool bounces() const noexcept { return bounces_; }
    const ibv_device_attr& limits() const noexcept { return limits_; }

    // By its dma-buf, at an address of its own. Throws Error with the call's errno.
    Registration register_dma_buf(const DmaBuf& buffer, RemoteAccess access) const;
    // By the address of its mapping (DmaBuf::map_pinnable), whose pages are pinned. Throws Error
    // with the call's errno.
    Registration register_mapping(const DmaBuf& buffer, RemoteAccess access) const;

    // Room for `in_flight` writes, and some more: the depth of a connection's queues. Throws Error
    // of usage where the device has none.
    std::uint32_t queue_depth(std::uint32_t in_flight) const;
    // A completion queue with room for `depth`, and a reliable connected queue pair on it with room
    // for `depth` sends and as many receives. Throws Error: what the device refuses, and why.
    CompletionQueue make_completion_queue(int depth, ibv_comp_channel* channel) const;
    QueuePairHandle make_queue_pair(ibv_cq* completions, std::uint32_t depth) const;

private:
    [[noreturn]] void refuse_queue(int error, std::string_view call) const;

    std::string name_;
    Context context_;
    ProtectionDomain pd_;
    ProtectionDomain parent_; // or none
    std::string no_parent_;   // then: why
    bool bounces_ = false;
    ibv_device_attr limits_{};
};

} // namespace clearframe::verbs
