// Frame memory that libibverbs allocates for a device, in the way the device's driver wants it.
#pragma once

#include "memory/heap.h"

#include <memory>

namespace clearframe::verbs {

class Device;

// What Nic::open_heap() promises: ibv_alloc_buf(), of which ibv_export_buf_dmabuf_fd() gives the
// dma-buf. Both are looked up by name: they came with rdma-core 64 and 65, and the program is
// built and runs with older ones too. Throws Error: unavailable, with the version it takes.
std::unique_ptr<Heap> open_nic_heap(const Device& device);

// Whether this process's libibverbs has those calls.
bool has_nic_heap();

} // namespace clearframe::verbs
