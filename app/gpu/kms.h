// Showing received frames on a screen, out of the very memory they came in: KMS framebuffers over
// imported dma-bufs.
#pragma once

#include "core/choice.h"
#include "core/unique_fd.h"
#include "memory/dma_buf.h"
#include "wire/frame.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace clearframe {

struct ScreenMode {
    std::uint32_t width = 0, height = 0; // pixels
    std::uint32_t hz = 0;                // rounded
    bool operator==(const ScreenMode&) const = default;
};

// The mode that shows most of a frame: a framebuffer must cover the screen, so none that is wider
// or higher than the frame can be had. Of several the first, which the screen likes better. Pure.
std::optional<std::size_t> choose_mode(std::span<const ScreenMode> modes, std::uint32_t width,
                                       std::uint32_t height);

// Which of the cards `request` means: empty for the best, "card0", "/dev/dri/card0", or the name
// of a driver, of which the first usable card is meant. The name of a candidate, or "auto". Throws
// Error of availability where there is no such card. Pure.
std::string resolve_screen(std::string_view request, std::span<const Candidate> screens);

struct ScreenInfo {
    std::string card;      // "card0"
    std::string driver;    // "bochs-drm"
    std::string connector; // "Virtual-1"
    ScreenMode mode;
    std::string emulation; // if there is no such screen outside this kernel (vkms): in what way
};

// A screen that shows frames of one size, of which it has taken possession: what was on it before
// is there again once this is destroyed. Belongs to one thread at a time.
class Screen {
public:
    // The cards of /dev/dri as screens for frames of that size, real ones first; takes possession
    // of each for a moment. Thread-safe.
    static std::vector<Candidate> probe(std::uint32_t width, std::uint32_t height);

    // Opens the card that `request` means (resolve_screen()). Throws Error of availability: there
    // is none, no screen is connected, no mode fits, another program owns it.
    static std::unique_ptr<Screen> open(std::string_view request, std::uint32_t width,
                                        std::uint32_t height);
    ~Screen();
    Screen(const Screen&) = delete;
    Screen& operator=(const Screen&) = delete;

    const ScreenInfo& info() const noexcept;

    // Imports a ring of slots, of which each becomes a framebuffer; the ring's number. The card
    // holds their memory, and shows it, for as long as this exists. Throws Error of availability
    // for memory that the card does not take.
    std::size_t import(std::span<const DmaBuf> slots, const FrameLayout& layout);
    // Whether every framebuffer lies in the very buffer that was imported, by inode: the card has
    // made no copy.
    bool same_buffers() const noexcept;

    // Shows a slot, or as much of it as the mode has room for, from its upper left corner on.
    // Blocks until it is what is scanned out, for 3 s at most. Throws Error.
    void show(std::size_t ring, std::uint32_t slot);

private:
    struct Card;
    explicit Screen(std::unique_ptr<Card> card);

    std::unique_ptr<Card> card_;
};

} // namespace clearframe
