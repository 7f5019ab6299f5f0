// Preloaded in the guest: ibv_reg_dmabuf_mr() for soft-RoCE. libibverbs has the call, and the
// guest's kernel the operation (kernel/rxe_test_bed.c), but the user-space driver between them,
// librxe, does not know it. This does what the drivers of hardware do there.
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <infiniband/verbs.h>

extern "C" {

// libibverbs' own view of a region, of which drivers allocate one each (rdma-core,
// libibverbs/driver.h, which no package has). Freed by librxe's ibv_dereg_mr().
struct verbs_mr {
    ibv_mr mr;
    int mr_type;
    int access;
    void* reserved[6]; // later versions may have more
};

// What a driver adds came to it later (it is in rdma-core 65); earlier ones do not look at it.
int ibv_cmd_reg_dmabuf_mr(ibv_pd* pd, std::uint64_t offset, std::size_t length, std::uint64_t iova,
                          int fd, int access, verbs_mr* region, void* of_the_driver);

ibv_mr* ibv_reg_dmabuf_mr(ibv_pd* pd, std::uint64_t offset, std::size_t length, std::uint64_t iova,
                          int fd, int access) {
    auto* region = static_cast<verbs_mr*>(std::calloc(1, sizeof(verbs_mr)));
    if (!region)
        return nullptr;
    if (const int error =
            ibv_cmd_reg_dmabuf_mr(pd, offset, length, iova, fd, access, region, nullptr)) {
        std::free(region);
        errno = error;
        return nullptr;
    }
    region->mr.context = pd->context;
    region->mr.pd = pd;
    region->mr.addr = reinterpret_cast<void*>(iova);
    region->mr.length = length;
    return &region->mr;
}
}
