#include "commands/present_record.h"

namespace clearframe {

PresentRecord present_record(Presenter& presenter) {
    const std::uint64_t frames = presenter.finish();
    const ScreenInfo& screen = presenter.screen();
    return {.card = screen.card,
            .driver = screen.driver,
            .connector = screen.connector,
            .width = screen.mode.width,
            .height = screen.mode.height,
            .hz = screen.mode.hz,
            .emulation = screen.emulation,
            .frames = frames,
            .same_buffer = presenter.same_buffers()};
}

} // namespace clearframe
