// Objects of libibverbs and librdmacm, each owned by one holder and destroyed by its own call.
#pragma once

#include <infiniband/verbs.h>
#include <memory>
#include <rdma/rdma_cma.h>

namespace clearframe::verbs {

template <auto destroy>
struct Destroy {
    void operator()(auto* object) const { destroy(object); }
};
using DeviceList = std::unique_ptr<ibv_device*, Destroy<ibv_free_device_list>>;
using Context = std::unique_ptr<ibv_context, Destroy<ibv_close_device>>;
using ProtectionDomain = std::unique_ptr<ibv_pd, Destroy<ibv_dealloc_pd>>;
using CompletionChannel = std::unique_ptr<ibv_comp_channel, Destroy<ibv_destroy_comp_channel>>;
using CompletionQueue = std::unique_ptr<ibv_cq, Destroy<ibv_destroy_cq>>;
using QueuePairHandle = std::unique_ptr<ibv_qp, Destroy<ibv_destroy_qp>>;
using Region = std::unique_ptr<ibv_mr, Destroy<ibv_dereg_mr>>;

using EventChannel = std::unique_ptr<rdma_event_channel, Destroy<rdma_destroy_event_channel>>;
// Before its channel, and after its events: it waits for those.
using ConnectionId = std::unique_ptr<rdma_cm_id, Destroy<rdma_destroy_id>>;
using ConnectionEvent = std::unique_ptr<rdma_cm_event, Destroy<rdma_ack_cm_event>>;

} // namespace clearframe::verbs
