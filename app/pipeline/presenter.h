// Shows a stream's received frames on a screen, while it runs, each in the slot it came in.
#pragma once

#include "gpu/kms.h"
#include "pipeline/frame_tap.h"
#include "wire/frame.h"

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <thread>

namespace clearframe {

// Fewer slots, and nothing moves while one is on the screen and the next one waits for it.
inline constexpr std::uint32_t least_presented_ring = 3;

// Shows the newest good frame, from a thread of its own (cf-present). A frame keeps its slot until
// the next one is on the screen, or its block has ended: between two blocks the screen still shows
// the slot, which is free then. The stream does not wait for the screen, but has a slot less.
class Presenter {
public:
    // Called on that thread for each frame, while it is on the screen and keeps its slot.
    using OnShown = std::function<void(std::size_t path, std::uint64_t sequence)>;

    // Imports the frames of every path: `frames` are the buffers they lie in, by path. If showing
    // one fails later, `on_failure` is called on that thread. All must outlive this, which belongs
    // to the thread that runs blocks. Throws Error.
    Presenter(std::unique_ptr<Screen> screen, const FrameLayout& layout,
              std::span<const std::span<const DmaBuf>> frames, std::function<void()> on_failure,
              OnShown on_shown = {});
    ~Presenter();
    Presenter(const Presenter&) = delete;
    Presenter& operator=(const Presenter&) = delete;

    // For the block of that path that runs next; between blocks only.
    FrameTap* tap_for(std::size_t path) noexcept;

    const ScreenInfo& screen() const noexcept { return screen_->info(); }
    bool same_buffers() const noexcept { return screen_->same_buffers(); }

    // After the last block: ends, and leaves the last frame on the screen. How many frames were
    // shown. Blocks for as long as a frame takes to be shown. Throws the Error that showing ended
    // with.
    std::uint64_t finish();

private:
    void run() noexcept;

    std::unique_ptr<Screen> screen_;
    std::function<void()> on_failure_;
    OnShown on_shown_;
    FrameTap tap_;
    std::atomic<std::size_t> path_{0}; // whose frames come; does not change while one is held
    std::uint64_t shown_ = 0;
    std::exception_ptr failure_;
    std::jthread thread_;
};

} // namespace clearframe
