// A DRM device of the guest: importing dma-bufs, and showing them on its screen.
#pragma once

#include "core/unique_fd.h"
#include "wire/frame.h"

#include <gtest/gtest.h>
#include <xf86drmMode.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace clearframe::guest {

// Where XRGB8888 pixels lie in a buffer.
struct PixelLayout {
    std::uint32_t width = 0;
    std::uint32_t height = 0;
    std::uint32_t stride = 0; // bytes from one row to the next
    std::uint32_t offset = 0; // of the first pixel, in bytes
};

class Card {
public:
    // The device of that driver: "vkms", "bochs-drm", "vgem". Throws Error.
    explicit Card(std::string_view driver);

    int fd() const noexcept { return fd_.get(); }
    // What it calls itself in /sys/kernel/debug/dri.
    std::string debug_folder() const;

private:
    UniqueFd fd_;
};

// A dma-buf imported into a card: a GEM handle. Throws Error.
class ImportedBuffer {
public:
    ImportedBuffer(const Card& card, int dma_buf);
    ImportedBuffer(const ImportedBuffer&) = delete;
    ImportedBuffer& operator=(const ImportedBuffer&) = delete;
    ~ImportedBuffer();

    std::uint32_t handle() const noexcept { return handle_; }
    // A dma-buf of the handle, as the card gives it out again.
    UniqueFd exported() const;

private:
    const Card& card_;
    std::uint32_t handle_ = 0;
};

// A card's own dumb buffer, mapped: ordinary memory.
class DumbBuffer {
public:
    DumbBuffer(const Card& card, std::uint32_t width, std::uint32_t height);
    DumbBuffer(const DumbBuffer&) = delete;
    DumbBuffer& operator=(const DumbBuffer&) = delete;
    ~DumbBuffer();

    std::uint32_t handle() const noexcept { return handle_; }
    const PixelLayout& layout() const noexcept { return layout_; }
    std::byte* pixels() const noexcept { return pixels_; }

private:
    const Card& card_;
    PixelLayout layout_;
    std::uint32_t handle_ = 0;
    std::size_t bytes_ = 0;
    std::byte* pixels_ = nullptr;
};

class Framebuffer {
public:
    Framebuffer(const Card& card, std::uint32_t handle, const PixelLayout& layout);
    Framebuffer(const Framebuffer&) = delete;
    Framebuffer& operator=(const Framebuffer&) = delete;
    ~Framebuffer();

    std::uint32_t id() const noexcept { return id_; }

private:
    const Card& card_;
    std::uint32_t id_ = 0;
};

// A card's screen, in the mode it prefers. One at a time; the card must outlive it.
class Screen {
public:
    explicit Screen(const Card& card); // throws Error
    std::uint32_t width() const noexcept { return mode_.hdisplay; }
    std::uint32_t height() const noexcept { return mode_.vdisplay; }
    // Blocks until it is the framebuffer that is scanned out. Throws Error.
    void show(const Framebuffer& framebuffer);

private:
    const Card& card_;
    std::uint32_t connector_ = 0;
    std::uint32_t crtc_ = 0;
    drmModeModeInfo mode_{};
};

// Has the host take a picture of the emulated screen of bochs, as QEMU shows it: a binary PPM.
// Throws Error.
std::string screen_dump(const std::string& name);

// Whether the picture has that size, and every pixel is what the scene says.
testing::AssertionResult shows(const std::string& ppm, std::uint32_t width, std::uint32_t height,
                               Scene scene, std::uint32_t seed, std::uint64_t sequence);

} // namespace clearframe::guest
