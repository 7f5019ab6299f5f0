#include "pipeline/presenter.h"

#include "core/thread.h"

#include <optional>
#include <utility>

namespace clearframe {

Presenter::Presenter(std::unique_ptr<Screen> screen, const FrameLayout& layout,
                     std::span<const std::span<const DmaBuf>> frames,
                     std::function<void()> on_failure, OnShown on_shown)
    : screen_(std::move(screen)),
      on_failure_(std::move(on_failure)),
      on_shown_(std::move(on_shown)) {
    for (const std::span<const DmaBuf> path : frames)
        screen_->import(path, layout);
    thread_ = start_thread("cf-present", [this] { run(); });
}

Presenter::~Presenter() { tap_.close(); }

FrameTap* Presenter::tap_for(std::size_t path) noexcept {
    path_ = path;
    return &tap_;
}

std::uint64_t Presenter::finish() {
    tap_.close();
    if (thread_.joinable())
        thread_.join();
    if (failure_)
        std::rethrow_exception(failure_);
    return shown_;
}

void Presenter::run() noexcept {
    try {
        HeldFrame on_screen;
        while (std::optional<HeldFrame> next = tap_.wait(static_cast<bool>(on_screen))) {
            if (*next) {
                screen_->show(path_, next->slot());
                ++shown_;
                if (on_shown_)
                    on_shown_(path_, next->sequence());
            }
            on_screen = std::move(*next);
        }
    } catch (...) {
        failure_ = std::current_exception();
        on_failure_();
    }
}

} // namespace clearframe
