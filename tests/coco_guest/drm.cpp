#include "coco_guest/drm.h"

#include "coco_guest/support.h"
#include "core/error.h"
#include "gpu/scene.h"

#include <drm_fourcc.h>
#include <fmt/format.h>
#include <xf86drm.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

namespace clearframe::guest {
namespace {

// Of a resource that libdrm allocates.
template <auto free>
struct Free {
    void operator()(auto* resource) const { free(resource); }
};
using Version = std::unique_ptr<drmVersion, Free<drmFreeVersion>>;
using Resources = std::unique_ptr<drmModeRes, Free<drmModeFreeResources>>;
using Connector = std::unique_ptr<drmModeConnector, Free<drmModeFreeConnector>>;

} // namespace

Card::Card(std::string_view driver) {
    for (const auto& entry : std::filesystem::directory_iterator("/dev/dri")) {
        if (!entry.path().filename().string().starts_with("card"))
            continue;
        UniqueFd fd(::open(entry.path().c_str(), O_RDWR | O_CLOEXEC));
        if (!fd)
            continue;
        const Version version(drmGetVersion(fd.get()));
        if (version && version->name == driver) {
            fd_ = std::move(fd);
            return;
        }
    }
    throw Error(Failure::unavailable, fmt::format("looking for a card of {} in /dev/dri", driver),
                {}, {});
}

std::string Card::debug_folder() const {
    struct stat status {};
    if (::fstat(fd(), &status) != 0)
        throw_errno(errno, "asking for the number of a card");
    return fmt::format("/sys/kernel/debug/dri/{}", minor(status.st_rdev));
}

ImportedBuffer::ImportedBuffer(const Card& card, int dma_buf) : card_(card) {
    if (drmPrimeFDToHandle(card.fd(), dma_buf, &handle_) != 0)
        throw_errno(errno, "drmPrimeFDToHandle");
}

ImportedBuffer::~ImportedBuffer() { drmCloseBufferHandle(card_.fd(), handle_); }

UniqueFd ImportedBuffer::exported() const {
    int fd = -1;
    if (drmPrimeHandleToFD(card_.fd(), handle_, O_CLOEXEC, &fd) != 0)
        throw_errno(errno, "drmPrimeHandleToFD");
    return UniqueFd(fd);
}

DumbBuffer::DumbBuffer(const Card& card, std::uint32_t width, std::uint32_t height) : card_(card) {
    std::uint64_t bytes = 0;
    std::uint64_t offset = 0;
    layout_ = {.width = width, .height = height};
    if (drmModeCreateDumbBuffer(card.fd(), width, height, 32, 0, &handle_, &layout_.stride,
                                &bytes) != 0)
        throw_errno(errno, "drmModeCreateDumbBuffer");
    bytes_ = bytes;
    if (drmModeMapDumbBuffer(card.fd(), handle_, &offset) != 0)
        throw_errno(errno, "drmModeMapDumbBuffer");
    void* const address = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, card.fd(),
                                 static_cast<off_t>(offset));
    if (address == MAP_FAILED)
        throw_errno(errno, "mapping a dumb buffer");
    pixels_ = static_cast<std::byte*>(address);
}

DumbBuffer::~DumbBuffer() {
    ::munmap(pixels_, bytes_);
    drmModeDestroyDumbBuffer(card_.fd(), handle_);
}

Framebuffer::Framebuffer(const Card& card, std::uint32_t handle, const PixelLayout& layout)
    : card_(card) {
    const std::uint32_t handles[4] = {handle};
    const std::uint32_t strides[4] = {layout.stride};
    const std::uint32_t offsets[4] = {layout.offset};
    if (drmModeAddFB2(card.fd(), layout.width, layout.height, DRM_FORMAT_XRGB8888, handles, strides,
                      offsets, &id_, 0) != 0)
        throw_errno(errno, "drmModeAddFB2");
}

Framebuffer::~Framebuffer() { drmModeRmFB(card_.fd(), id_); }

Screen::Screen(const Card& card) : card_(card) {
    const Resources resources(drmModeGetResources(card.fd()));
    if (!resources || resources->count_crtcs == 0)
        throw Error(Failure::unavailable, "drmModeGetResources: no CRTC", {}, {});
    crtc_ = resources->crtcs[0];
    for (int i = 0; i < resources->count_connectors && !connector_; ++i) {
        const Connector connector(drmModeGetConnector(card.fd(), resources->connectors[i]));
        if (!connector || connector->connection != DRM_MODE_CONNECTED || !connector->count_modes)
            continue;
        connector_ = connector->connector_id;
        mode_ = connector->modes[0];
    }
    if (!connector_)
        throw Error(Failure::unavailable, "drmModeGetConnector: none is connected", {}, {});
}

void Screen::show(const Framebuffer& framebuffer) {
    if (drmModeSetCrtc(card_.fd(), crtc_, framebuffer.id(), 0, 0, &connector_, 1, &mode_) != 0)
        throw_errno(errno, "drmModeSetCrtc");
}

std::string screen_dump(const std::string& name) {
    const UniqueFd host(::open("/dev/guest-host", O_RDWR | O_CLOEXEC));
    if (!host)
        throw_errno(errno, "opening /dev/guest-host");
    const std::string request = "screendump " + name + "\n";
    if (::write(host.get(), request.data(), request.size()) != static_cast<ssize_t>(request.size()))
        throw_errno(errno, "writing to /dev/guest-host");
    std::string answer;
    for (char c = 0; ::read(host.get(), &c, 1) == 1 && c != '\n';)
        answer += c;
    if (answer != "ok")
        throw Error(Failure::run, "taking a picture of the screen", answer, {});
    return read_file("/run/guest/" + name);
}

testing::AssertionResult shows(const std::string& ppm, std::uint32_t width, std::uint32_t height,
                               Scene scene, std::uint32_t seed, std::uint64_t sequence) {
    const std::string header = fmt::format("P6\n{} {}\n255\n", width, height);
    if (!ppm.starts_with(header))
        return testing::AssertionFailure() << "it begins with " << ppm.substr(0, header.size());
    if (ppm.size() != header.size() + std::size_t{3} * width * height)
        return testing::AssertionFailure() << "it has " << ppm.size() << " bytes";
    const auto* rgb = reinterpret_cast<const unsigned char*>(ppm.data() + header.size());
    std::vector<std::uint32_t> row(width);
    for (std::uint32_t y = 0; y < height; ++y) {
        scene_row(scene, seed, sequence, height, y, row);
        for (std::uint32_t x = 0; x < width; ++x, rgb += 3) {
            const std::uint32_t found = std::uint32_t{rgb[0]} << 16 | rgb[1] << 8 | rgb[2];
            if (found != (row[x] & 0xffffff))
                return testing::AssertionFailure()
                       << fmt::format("pixel ({}, {}) is {:06x}, and must be {:06x}", x, y, found,
                                      row[x] & 0xffffff);
        }
    }
    return testing::AssertionSuccess();
}

} // namespace clearframe::guest
