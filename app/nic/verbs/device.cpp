// Linked against libibverbs, not loaded by name: so that a preloaded call takes the library's
// place.
#include "core/error.h"
#include "nic/verbs.h"

#include <fmt/format.h>

#include <dlfcn.h>
#include <errno.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <infiniband/verbs.h>

namespace clearframe {
namespace {

// From rdma-core 64's verbs.h; older ones lack it.
constexpr std::uint64_t cc_dma_bounce = std::uint64_t{1} << 41;

template <auto destroy>
struct Destroy {
    void operator()(auto* object) const { destroy(object); }
};
using DeviceList = std::unique_ptr<ibv_device*, Destroy<ibv_free_device_list>>;
using Context = std::unique_ptr<ibv_context, Destroy<ibv_close_device>>;
using ProtectionDomain = std::unique_ptr<ibv_pd, Destroy<ibv_dealloc_pd>>;
using Region = std::unique_ptr<ibv_mr, Destroy<ibv_dereg_mr>>;

Context open_device(std::string_view name) {
    int count = 0;
    const DeviceList devices(ibv_get_device_list(&count));
    if (!devices)
        throw_errno(errno, "listing RDMA devices", "modprobe ib_uverbs", Failure::unavailable);
    for (int i = 0; i < count; ++i) {
        ibv_device* const device = devices.get()[i];
        if (name != ibv_get_device_name(device))
            continue;
        Context context(ibv_open_device(device));
        if (!context) {
            const int error = errno;
            throw_errno(error, fmt::format("opening RDMA device {}", name),
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

class Device final : public VerbsDevice {
public:
    explicit Device(std::string_view name)
        : name_(name), context_(open_device(name)), pd_(ibv_alloc_pd(context_.get())) {
        if (!pd_)
            throw_errno(errno, fmt::format("{}: ibv_alloc_pd", name_), {}, Failure::unavailable);
    }

    bool bounces() const override {
        ibv_device_attr_ex attributes{};
        if (const int error = ibv_query_device_ex(context_.get(), nullptr, &attributes))
            throw_errno(error, fmt::format("{}: ibv_query_device_ex", name_));
        return attributes.device_cap_flags_ex & cc_dma_bounce;
    }

    void try_dma_buf(const DmaBuf& buffer) const override {
        const Region region(ibv_reg_dmabuf_mr(pd_.get(), 0, buffer.size(), 0, buffer.fd(), access));
        if (!region)
            throw_errno(errno, "ibv_reg_dmabuf_mr");
    }

    void try_mapping(const DmaBuf& buffer) const override {
        const Mapping mapping = buffer.map(Access::read_write);
        const Region region(
            ibv_reg_mr(pd_.get(), mapping.bytes().data(), mapping.bytes().size(), access));
        if (!region)
            throw_errno(errno, "ibv_reg_mr");
    }

private:
    static constexpr int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE;

    std::string name_;
    Context context_;
    ProtectionDomain pd_;
};

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

} // namespace

VerbsLibrary verbs_library() {
    VerbsLibrary library{.built_in = true, .version = library_version()};
    library.shared_queues = std::atoi(library.version.c_str()) >= 64 ||
                            dlsym(RTLD_DEFAULT, "ibv_reg_buf_mr") != nullptr;
    return library;
}

std::unique_ptr<VerbsDevice> open_verbs_device(std::string_view name) {
    return std::make_unique<Device>(name);
}

} // namespace clearframe
