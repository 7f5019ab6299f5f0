// Linked against libibverbs, not loaded by name: so that a preloaded call takes the library's
// place.
#include "nic/verbs/device.h"

#include "core/error.h"
#include "nic/verbs.h"
#include "nic/verbs/nic_heap.h"

#include <fmt/format.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>

namespace clearframe {
namespace verbs {
namespace {

// From rdma-core 64's verbs.h; older ones lack them.
constexpr std::uint64_t cc_dma_bounce = std::uint64_t{1} << 41;
constexpr std::uint32_t least_in_flight = 16;

constexpr std::uint32_t allow_unprotected_queues = 1u
                                                   << 2; // IBV_PARENT_DOMAIN_INIT_ATTR_ALLOW_CC_…

Context open_device(std::string_view name) {
    int count = 0;
    const DeviceList devices(ibv_get_device_list(&count));
    if (!devices)
        throw_errno(errno, "listing RDMA devices: ibv_get_device_list", "modprobe ib_uverbs",
                    Failure::unavailable);
    for (int i = 0; i < count; ++i) {
        ibv_device* const device = devices.get()[i];
        if (name != ibv_get_device_name(device))
            continue;
        Context context(ibv_open_device(device));
        if (!context) {
            const int error = errno;
            throw_errno(error, fmt::format("opening RDMA device {}: ibv_open_device", name),
                        error == EACCES || error == EPERM
                            ? "Run as root, or let everyone in by a udev rule, as package "
                              "rdma-core has it: KERNEL==\"uverbs*\", MODE=\"0666\""
                            : "",
                        Failure::unavailable);
        }
        return context;
    }
    throw Error(Failure::unavailable, fmt::format("no driver of libibverbs knows {}", name), {},
                "On Debian: apt install ibverbs-providers");
}

int access_flags(RemoteAccess access) {
    return access == RemoteAccess::write ? IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE : 0;
}

// Where regions of dma-bufs lie for a peer: one behind the other with a gap, so that a write that
// runs over hits none of them.
std::uint64_t take_addresses(std::uint64_t bytes) {
    static std::atomic<std::uint64_t> next{std::uint64_t{1} << 40};
    constexpr std::uint64_t step = 1 << 21;
    return next.fetch_add((bytes / step + 2) * step);
}

} // namespace

void set_nonblocking(int fd) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        throw_errno(errno, "NIC verbs: making a descriptor non-blocking");
}

Device::Device(std::string_view name) : name_(name), context_(open_device(name)) {
    ibv_device_attr_ex attributes{};
    if (const int error = ibv_query_device_ex(context(), nullptr, &attributes))
        throw_errno(error, fmt::format("{}: ibv_query_device_ex", name_), {}, Failure::unavailable);
    set_nonblocking(context()->async_fd);
    limits_ = attributes.orig_attr;
    bounces_ = (attributes.device_cap_flags_ex & cc_dma_bounce) != 0;
    pd_.reset(ibv_alloc_pd(context()));
    if (!pd_)
        throw_errno(errno, fmt::format("{}: ibv_alloc_pd", name_), {}, Failure::unavailable);
    if (!bounces_)
        return;
    ibv_parent_domain_init_attr shared{};
    shared.pd = pd_.get();
    shared.comp_mask = allow_unprotected_queues;
    errno = 0;
    parent_.reset(ibv_alloc_parent_domain(context(), &shared));
    // Not the end: a driver whose queues are the kernel's own, as soft-RoCE's, needs none.
    if (!parent_)
        no_parent_ = errno_text(errno);
}

Registration Device::register_dma_buf(const DmaBuf& buffer, RemoteAccess access) const {
    Registration made;
    made.address = take_addresses(buffer.size());
    made.region.reset(ibv_reg_dmabuf_mr(domain(), 0, buffer.size(), made.address, buffer.fd(),
                                        access_flags(access)));
    if (!made.region)
        throw_errno(errno, "ibv_reg_dmabuf_mr");
    return made;
}

Registration Device::register_mapping(const DmaBuf& buffer, RemoteAccess access) const {
    Registration made;
    made.mapping = buffer.map_pinnable(Access::read_write);
    const std::span<std::byte> bytes = made.mapping.bytes();
    made.region.reset(ibv_reg_mr(domain(), bytes.data(), bytes.size(), access_flags(access)));
    if (!made.region)
        throw_errno(errno, "ibv_reg_mr");
    made.address = reinterpret_cast<std::uint64_t>(bytes.data());
    return made;
}

std::uint32_t Device::queue_depth(std::uint32_t in_flight) const {
    const auto most = static_cast<std::uint32_t>(std::min(limits_.max_qp_wr, limits_.max_cqe / 2));
    if (in_flight == 0 || in_flight > most)
        throw Error(Failure::usage,
                    fmt::format("NIC {}: connecting with {} writes in flight", name_, in_flight),
                    {}, fmt::format("It can have from 1 to {}: a smaller --ring or --size", most));
    return std::min(std::max(in_flight, least_in_flight), most);
}

void Device::refuse_queue(int error, std::string_view call) const {
    if (bounces_ && !parent_)
        throw_errno(
            error,
            fmt::format(
                "{}: {}: it reaches shared memory alone, and its queues cannot be put there "
                "(ibv_alloc_parent_domain: {})",
                name_, call, no_parent_),
            "It takes rdma-core 64 or later and a driver that can (mlx5)", Failure::unavailable);
    throw_errno(error, fmt::format("{}: {}", name_, call), "A smaller --ring needs less room",
                Failure::unavailable);
}

CompletionQueue Device::make_completion_queue(int depth, ibv_comp_channel* channel) const {
    if (!parent_) {
        CompletionQueue queue(ibv_create_cq(context(), depth, nullptr, channel, 0));
        if (!queue)
            refuse_queue(errno, "ibv_create_cq");
        return queue;
    }
    ibv_cq_init_attr_ex attributes{};
    attributes.cqe = static_cast<std::uint32_t>(depth);
    attributes.channel = channel;
    attributes.wc_flags = IBV_WC_EX_WITH_BYTE_LEN | IBV_WC_EX_WITH_IMM;
    attributes.comp_mask = IBV_CQ_INIT_ATTR_MASK_PD;
    attributes.parent_domain = parent_.get();
    ibv_cq_ex* const queue = ibv_create_cq_ex(context(), &attributes);
    if (!queue)
        refuse_queue(errno, "ibv_create_cq_ex");
    return CompletionQueue(ibv_cq_ex_to_cq(queue));
}

QueuePairHandle Device::make_queue_pair(ibv_cq* completions, std::uint32_t depth) const {
    ibv_qp_init_attr attributes{};
    attributes.send_cq = completions;
    attributes.recv_cq = completions;
    attributes.cap = {.max_send_wr = depth,
                      .max_recv_wr = depth,
                      .max_send_sge = 1,
                      .max_recv_sge = 1,
                      .max_inline_data = 0};
    attributes.qp_type = IBV_QPT_RC;
    QueuePairHandle made(ibv_create_qp(domain(), &attributes));
    if (!made)
        refuse_queue(errno, "ibv_create_qp");
    return made;
}

namespace {

// rdma-core names the file libibverbs.so.1.ABI.VERSION.
std::string library_version() {
    Dl_info info{};
    void* const call = dlsym(RTLD_DEFAULT, "ibv_free_device_list");
    if (!call || !dladdr(call, &info) || !info.dli_fname)
        return {};
    std::error_code error;
    const std::string file = std::filesystem::canonical(info.dli_fname, error).filename();
    constexpr std::string_view before = "libibverbs.so.1.";
    if (!file.starts_with(before))
        return {};
    return file.substr(std::min(file.find('.', before.size()), file.size() - 1) + 1);
}

class Trial final : public VerbsDevice {
public:
    explicit Trial(std::string_view name) : device_(name) {}

    bool bounces() const override { return device_.bounces(); }
    void try_dma_buf(const DmaBuf& buffer) const override {
        device_.register_dma_buf(buffer, RemoteAccess::write);
    }
    void try_mapping(const DmaBuf& buffer) const override {
        device_.register_mapping(buffer, RemoteAccess::write);
    }
    void try_queues() const override {
        constexpr std::uint32_t depth = 16;
        const CompletionQueue completions = device_.make_completion_queue(2 * depth, nullptr);
        device_.make_queue_pair(completions.get(), depth);
    }

private:
    Device device_;
};

} // namespace
} // namespace verbs

VerbsLibrary verbs_library() {
    VerbsLibrary library{.built_in = true, .version = verbs::library_version()};
    library.shared_queues = std::atoi(library.version.c_str()) >= 64 ||
                            dlsym(RTLD_DEFAULT, "ibv_reg_buf_mr") != nullptr;
    library.own_buffers = verbs::has_nic_heap();
    return library;
}

std::unique_ptr<VerbsDevice> open_verbs_device(std::string_view name) {
    return std::make_unique<verbs::Trial>(name);
}

} // namespace clearframe
