#include "nic/verbs/nic_heap.h"

#include "core/error.h"
#include "core/units.h"
#include "nic/verbs.h"
#include "nic/verbs/device.h"

#include <fmt/format.h>

#include <dlfcn.h>
#include <errno.h>

#include <algorithm>

struct ibv_buf; // rdma-core 64's handle; older headers lack it

namespace clearframe::verbs {
namespace {

// As verbs.h of rdma-core 65 declares them.
struct BufferCalls {
    void* (*allocate)(ibv_pd*, std::size_t, ibv_buf**);
    int (*export_dma_buf)(ibv_buf*);
    void (*release)(ibv_buf*);

    bool complete() const { return allocate && export_dma_buf && release; }
};

template <typename Call>
void find(Call*& call, const char* name) {
    call = reinterpret_cast<Call*>(dlsym(RTLD_DEFAULT, name));
}

BufferCalls find_calls() {
    BufferCalls calls{};
    find(calls.allocate, "ibv_alloc_buf");
    find(calls.export_dma_buf, "ibv_export_buf_dmabuf_fd");
    find(calls.release, "ibv_free_buf");
    return calls;
}

class NicHeap final : public Heap {
public:
    NicHeap(const Device& device, const BufferCalls& calls)
        : Heap("nic", true, device.bounces()), device_(device), calls_(calls) {}

private:
    Pages do_allocate(std::size_t bytes) const override {
        ibv_buf* made = nullptr;
        void* const memory = calls_.allocate(device_.domain(), bytes, &made);
        if (!memory)
            refuse(errno, "ibv_alloc_buf", bytes,
                   "Its driver takes them from /dev/dma_heap/system_cc_shared: clearframe doctor "
                   "says whether that can be used");
        // The dma-buf outlives it by its descriptor.
        const std::unique_ptr<ibv_buf, void (*)(ibv_buf*)> buffer(made, calls_.release);
        // Unlike a heap of the kernel's, it promises nothing of what is in it.
        std::fill_n(static_cast<std::byte*>(memory), bytes, std::byte{0});
        UniqueFd fd(calls_.export_dma_buf(made));
        if (!fd)
            refuse(errno, "ibv_export_buf_dmabuf_fd", bytes,
                   "Its driver allocates dma-bufs only where the device reports "
                   "IBV_DEVICE_CC_DMA_BOUNCE, in a confidential guest (mlx5): take another --heap");
        return {.fd = std::move(fd)};
    }

    [[noreturn]] void refuse(int error, std::string_view call, std::size_t bytes,
                             std::string_view advice) const {
        throw_errno(error,
                    fmt::format("NIC {}: allocating {} of its own: {}", device_.name(),
                                bytes_text(bytes), call),
                    advice, Failure::unavailable);
    }

    const Device& device_;
    BufferCalls calls_;
};

} // namespace

bool has_nic_heap() { return find_calls().complete(); }

std::unique_ptr<Heap> open_nic_heap(const Device& device) {
    const BufferCalls calls = find_calls();
    if (!calls.complete()) {
        const std::string version = verbs_library().version;
        throw Error(Failure::unavailable,
                    fmt::format("NIC {}: memory of its own (heap nic)", device.name()),
                    fmt::format("libibverbs{} has no ibv_export_buf_dmabuf_fd",
                                version.empty() ? "" : " of rdma-core " + version),
                    "Install rdma-core 65 or later");
    }
    return std::make_unique<NicHeap>(device, calls);
}

} // namespace clearframe::verbs
