#include "pipeline/presenter.h"

#include "core/thread.h"

#include <optional>
#include <utility>

namespace clearframe {

Presenter::Presenter(std::unique_ptr<Screen> screen, Session& session, std::size_t paths,
                     OnShown on_shown)
    : screen_(std::move(screen)), session_(session), on_shown_(std::move(on_shown)) {
    for (std::size_t path = 0; path < paths; ++path)
        screen_->import(session.frames(path), session.layout());
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
        session_.stop();
    }
}

} // namespace clearframe
