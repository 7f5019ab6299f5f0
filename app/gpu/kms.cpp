#include "gpu/kms.h"

#include "core/clock.h"
#include "core/error.h"
#include "gpu/drm_node.h"

#include <drm_fourcc.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <filesystem>
#include <utility>

namespace clearframe {
namespace {

namespace fs = std::filesystem;

constexpr const char* folder = "/dev/dri";
constexpr Nanoseconds flip_patience = 3'000'000'000;

// Of a resource that libdrm allocates.
template <auto free>
struct Free {
    void operator()(auto* resource) const { free(resource); }
};
using Resources = std::unique_ptr<drmModeRes, Free<drmModeFreeResources>>;
using Connector = std::unique_ptr<drmModeConnector, Free<drmModeFreeConnector>>;
using Encoder = std::unique_ptr<drmModeEncoder, Free<drmModeFreeEncoder>>;
using Crtc = std::unique_ptr<drmModeCrtc, Free<drmModeFreeCrtc>>;

std::string mode_text(const ScreenMode& mode) {
    return fmt::format("{}x{}", mode.width, mode.height);
}

// What a screen is connected to, and how it is to be driven.
struct Output {
    std::uint32_t connector = 0;
    std::uint32_t crtc = 0;
    drmModeModeInfo mode{};
    std::string name; // of the connector
};

ScreenMode screen_mode(const drmModeModeInfo& mode) {
    return {.width = mode.hdisplay, .height = mode.vdisplay, .hz = mode.vrefresh};
}

// The CRTC that drives the connector now, or the first that can; 0 if there is none.
std::uint32_t find_crtc(int fd, const drmModeRes& resources, const drmModeConnector& connector) {
    if (const Encoder now{drmModeGetEncoder(fd, connector.encoder_id)}; now && now->crtc_id)
        return now->crtc_id;
    for (const std::uint32_t id :
         std::span(connector.encoders, static_cast<std::size_t>(connector.count_encoders)))
        if (const Encoder encoder{drmModeGetEncoder(fd, id)})
            for (int i = 0; i < resources.count_crtcs; ++i)
                if (encoder->possible_crtcs >> i & 1)
                    return resources.crtcs[i];
    return 0;
}

// The first connected connector with a mode for such frames. Throws Error of availability.
Output find_output(int fd, const std::string& card, std::uint32_t width, std::uint32_t height) {
    const Resources resources(drmModeGetResources(fd));
    if (!resources)
        throw_errno(errno, fmt::format("{}: drmModeGetResources", card),
                    "It has no screen: name another card", Failure::unavailable);
    std::vector<std::string> unfit;
    for (const std::uint32_t id :
         std::span(resources->connectors, static_cast<std::size_t>(resources->count_connectors))) {
        const Connector connector(drmModeGetConnector(fd, id));
        if (!connector || connector->connection != DRM_MODE_CONNECTED)
            continue;
        std::vector<ScreenMode> modes;
        for (const drmModeModeInfo& mode :
             std::span(connector->modes, static_cast<std::size_t>(connector->count_modes)))
            modes.push_back(screen_mode(mode));
        const std::optional<std::size_t> mode = choose_mode(modes, width, height);
        const std::uint32_t crtc = find_crtc(fd, *resources, *connector);
        if (mode && crtc) {
            const char* type = drmModeGetConnectorTypeName(connector->connector_type);
            return {.connector = id,
                    .crtc = crtc,
                    .mode = connector->modes[*mode],
                    .name = fmt::format("{}-{}", type ? type : "?", connector->connector_type_id)};
        }
        for (const ScreenMode& other : modes)
            if (std::find(unfit.begin(), unfit.end(), mode_text(other)) == unfit.end())
                unfit.push_back(mode_text(other));
    }
    if (unfit.empty())
        throw Error(Failure::unavailable, fmt::format("{}: no screen is connected", card), {},
                    "Connect one, or name another card");
    throw Error(Failure::unavailable,
                fmt::format("{}: no mode of its screen is covered by a frame of {}x{}", card, width,
                            height),
                {}, fmt::format("Use --size with one of its modes: {}", fmt::join(unfit, ", ")));
}

// A framebuffer over an imported dma-buf; both are given up together.
class Framebuffer {
public:
    // Throws Error of availability; `name` is of the card, for the message.
    Framebuffer(int card, const std::string& name, const DmaBuf& buffer, const FrameLayout& layout)
        : card_(card) {
        const std::string object =
            fmt::format("{}: importing a frame of heap {}", name, buffer.heap());
        if (!buffer.is_dma_buf())
            throw Error(Failure::unavailable, fmt::format("{}: it is no dma-buf", object), {},
                        "Use a heap of dma-bufs: --heap system_cc_shared, system or udmabuf");
        if (drmPrimeFDToHandle(card, buffer.fd(), &handle_) != 0)
            throw_errno(errno, fmt::format("{}: drmPrimeFDToHandle", object),
                        "Try another heap: clearframe doctor shows which the card takes",
                        Failure::unavailable);
        const std::uint32_t handles[4] = {handle_};
        const std::uint32_t strides[4] = {layout.stride};
        const std::uint32_t offsets[4] = {static_cast<std::uint32_t>(layout.pixel_offset)};
        if (drmModeAddFB2(card, layout.width, layout.height, DRM_FORMAT_XRGB8888, handles, strides,
                          offsets, &id_, 0) != 0) {
            const int error = errno;
            drmCloseBufferHandle(card, handle_);
            throw_errno(error,
                        fmt::format("{}: drmModeAddFB2 of {}x{}, {} bytes a row", object,
                                    layout.width, layout.height, layout.stride),
                        "Try another --size: the card cannot show such frames",
                        Failure::unavailable);
        }
        same_buffer_ = is(buffer.identity());
    }
    Framebuffer(Framebuffer&& other) noexcept
        : card_(std::exchange(other.card_, -1)),
          handle_(other.handle_),
          id_(other.id_),
          same_buffer_(other.same_buffer_) {}
    Framebuffer& operator=(Framebuffer&&) = delete;
    ~Framebuffer() {
        if (card_ < 0)
            return;
        drmModeRmFB(card_, id_);
        drmCloseBufferHandle(card_, handle_);
    }

    std::uint32_t id() const noexcept { return id_; }
    bool same_buffer() const noexcept { return same_buffer_; }

private:
    // Whether the card gives that buffer out again.
    bool is(const BufferIdentity& identity) const {
        int fd = -1;
        if (drmPrimeHandleToFD(card_, handle_, O_CLOEXEC, &fd) != 0)
            return false;
        const UniqueFd exported(fd);
        return BufferIdentity::of(exported.get()) == identity;
    }

    int card_;
    std::uint32_t handle_ = 0;
    std::uint32_t id_ = 0;
    bool same_buffer_ = false;
};

// What a CRTC shows before it is taken: shown again at the end, or nothing if it was dark.
class FormerPicture {
public:
    FormerPicture(int card, const Output& output)
        : card_(card), output_(output), crtc_(drmModeGetCrtc(card, output.crtc)) {}
    FormerPicture(const FormerPicture&) = delete;
    FormerPicture& operator=(const FormerPicture&) = delete;
    ~FormerPicture() {
        std::uint32_t connector = output_.connector;
        const bool lit = crtc_ && crtc_->mode_valid && crtc_->buffer_id;
        if (!lit || drmModeSetCrtc(card_, output_.crtc, crtc_->buffer_id, crtc_->x, crtc_->y,
                                   &connector, 1, &crtc_->mode) != 0)
            drmModeSetCrtc(card_, output_.crtc, 0, 0, 0, nullptr, 0, nullptr);
    }

private:
    int card_;
    const Output& output_;
    Crtc crtc_;
};

void on_flipped(int, unsigned, unsigned, unsigned, void* pending) {
    *static_cast<bool*>(pending) = false;
}

} // namespace

std::optional<std::size_t> choose_mode(std::span<const ScreenMode> modes, std::uint32_t width,
                                       std::uint32_t height) {
    const auto pixels = [&](std::size_t i) {
        return std::uint64_t{modes[i].width} * modes[i].height;
    };
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < modes.size(); ++i)
        if (modes[i].width <= width && modes[i].height <= height &&
            (!best || pixels(i) > pixels(*best)))
            best = i;
    return best;
}

std::string resolve_screen(std::string_view request, std::span<const Candidate> screens) {
    if (screens.empty())
        throw Error(Failure::unavailable, fmt::format("no screen: there is no card in {}", folder),
                    errno_text(ENOENT),
                    "Load a driver (modprobe vkms makes a screen to try), and give a container "
                    "/dev/dri");
    if (request.empty())
        return "auto";
    std::string_view name = request;
    if (name.starts_with("/dev/dri/"))
        name.remove_prefix(std::string_view("/dev/dri/").size());
    const Candidate* of_driver = nullptr;
    std::vector<std::string> names;
    for (const Candidate& screen : screens) {
        if (screen.name == name)
            return screen.name;
        // "bochs-drm, Virtual-1 …", or the driver alone.
        const std::string_view driver =
            std::string_view(screen.detail).substr(0, screen.detail.find(','));
        if (driver == name && (!of_driver || (screen.usable && !of_driver->usable)))
            of_driver = &screen;
        names.push_back(driver.empty() ? screen.name : fmt::format("{} ({})", screen.name, driver));
    }
    if (of_driver)
        return of_driver->name;
    throw Error(Failure::unavailable, fmt::format("there is no screen '{}'", request),
                errno_text(ENOENT), fmt::format("Cards here: {}", fmt::join(names, ", ")));
}

// Members are given up in reverse: the former picture is there again before framebuffers go.
struct Screen::Card {
    ScreenInfo info;
    UniqueFd node;
    Output output;
    std::vector<std::vector<Framebuffer>> rings;
    std::optional<FormerPicture> former; // once a frame has been shown
    bool flips = true;
    bool pending = false; // a flip

    // Opens the card of that name as `card`, whose `info` has what was found out about it even if
    // this throws an Error of availability.
    static void open(const std::string& name, std::uint32_t width, std::uint32_t height,
                     Card& card) {
        const fs::path path = fs::path(folder) / name;
        card.info.card = name;
        card.node = open_drm_node(path);
        const int fd = card.node.get();
        card.info.driver = drm_driver(card.node, path);
        if (card.info.driver == "vkms")
            card.info.emulation = "vkms: a virtual screen, which nobody sees";
        const std::string object = fmt::format("{} ({})", name, card.info.driver);
        std::uint64_t prime = 0;
        if (drmGetCap(fd, DRM_CAP_PRIME, &prime) != 0 || !(prime & DRM_PRIME_CAP_IMPORT))
            throw Error(Failure::unavailable,
                        fmt::format("{}: it imports no dma-bufs (DRM_CAP_PRIME {})", object, prime),
                        {}, "Name another card");
        card.output = find_output(fd, object, width, height);
        card.info.connector = card.output.name;
        card.info.mode = screen_mode(card.output.mode);
        if (!drmIsMaster(fd) && drmSetMaster(fd) != 0)
            throw_errno(errno, fmt::format("{}: becoming its master", object),
                        "Another program owns the screen: end it, or run from a text console",
                        Failure::unavailable);
    }

    void set(std::uint32_t framebuffer) {
        if (!former)
            former.emplace(node.get(), output);
        if (drmModeSetCrtc(node.get(), output.crtc, framebuffer, 0, 0, &output.connector, 1,
                           &output.mode) != 0)
            throw_errno(errno,
                        fmt::format("{}: drmModeSetCrtc of {} at {}", info.card, info.connector,
                                    mode_text(info.mode)),
                        errno == EACCES || errno == EPERM
                            ? "Another program has taken the screen over"
                            : "Try another --size");
    }

    // False if the driver knows no page flips.
    bool flip(std::uint32_t framebuffer) {
        if (drmModePageFlip(node.get(), output.crtc, framebuffer, DRM_MODE_PAGE_FLIP_EVENT,
                            &pending) != 0) {
            if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)
                return false;
            throw_errno(errno, fmt::format("{}: drmModePageFlip", info.card),
                        "If another program has taken the screen over, end it");
        }
        pending = true;
        const Nanoseconds until = now() + flip_patience;
        while (pending)
            wait_for_event(until);
        return true;
    }

    void wait_for_event(Nanoseconds until) {
        pollfd event{.fd = node.get(), .events = POLLIN, .revents = 0};
        const Nanoseconds left = std::max<Nanoseconds>(until - now(), 0);
        const int ready = ::poll(&event, 1, static_cast<int>(left / 1'000'000));
        if (ready < 0 && errno != EINTR)
            throw_errno(errno, fmt::format("{}: waiting for a page flip", info.card));
        if (ready == 0)
            throw Error(Failure::run,
                        fmt::format("{}: a page flip has not ended within 3 s", info.card),
                        errno_text(ETIMEDOUT), "See the kernel's log (dmesg) for its driver");
        if (ready <= 0)
            return;
        drmEventContext context{};
        context.version = 2;
        context.page_flip_handler = on_flipped;
        if (drmHandleEvent(node.get(), &context) != 0)
            throw_errno(errno, fmt::format("{}: reading the event of a page flip", info.card));
    }
};

std::vector<Candidate> Screen::probe(std::uint32_t width, std::uint32_t height) {
    std::vector<Candidate> candidates;
    for (const std::string& name : drm_node_names(folder)) {
        if (!name.starts_with("card"))
            continue;
        Candidate candidate{.name = name};
        Card card;
        try {
            Card::open(name, width, height, card);
            candidate.usable = true;
            candidate.detail = fmt::format("{}, {} at {}", card.info.driver, card.info.connector,
                                           mode_text(card.info.mode));
        } catch (const Error& error) {
            candidate.refusal = error.what();
            candidate.mend = error.advice();
            candidate.detail = card.info.driver;
        }
        candidate.emulation = card.info.emulation;
        candidate.emulated = !candidate.emulation.empty();
        candidates.push_back(std::move(candidate));
    }
    std::stable_partition(candidates.begin(), candidates.end(),
                          [](const Candidate& candidate) { return !candidate.emulated; });
    return candidates;
}

std::unique_ptr<Screen> Screen::open(std::string_view request, std::uint32_t width,
                                     std::uint32_t height) {
    const std::vector<Candidate> candidates = probe(width, height);
    const Choice choice = choose("screen", resolve_screen(request, candidates), candidates);
    auto card = std::make_unique<Card>();
    Card::open(candidates[choice.index].name, width, height, *card);
    return std::unique_ptr<Screen>(new Screen(std::move(card)));
}

Screen::Screen(std::unique_ptr<Card> card) : card_(std::move(card)) {}

Screen::~Screen() = default;

const ScreenInfo& Screen::info() const noexcept { return card_->info; }

std::size_t Screen::import(std::span<const DmaBuf> slots, const FrameLayout& layout) {
    std::vector<Framebuffer> ring;
    ring.reserve(slots.size());
    for (const DmaBuf& slot : slots)
        ring.emplace_back(card_->node.get(), card_->info.card, slot, layout);
    card_->rings.push_back(std::move(ring));
    return card_->rings.size() - 1;
}

bool Screen::same_buffers() const noexcept {
    return std::all_of(card_->rings.begin(), card_->rings.end(), [](const auto& ring) {
        return std::all_of(ring.begin(), ring.end(), [](const Framebuffer& framebuffer) {
            return framebuffer.same_buffer();
        });
    });
}

void Screen::show(std::size_t ring, std::uint32_t slot) {
    const std::uint32_t framebuffer = card_->rings[ring][slot].id();
    if (!card_->former || !card_->flips) {
        card_->set(framebuffer);
    } else if (!card_->flip(framebuffer)) {
        card_->flips = false;
        card_->set(framebuffer);
    }
}

} // namespace clearframe
