// Opens the display ("window" or "offscreen"), shows frames out of slots and reads the picture:
// prints how many frames were shown in what size, or the Error.
#include "ui/display.h"

#include "memory/heap.h"

#include <fmt/format.h>

#include <string_view>

using namespace clearframe;

namespace {

void show(bool window) {
    Display display({.window = window, .width = 1280, .height = 720, .frames_per_s = 1000});
    ExposureMeter meter;
    const FrameLayout layout = plain_frame_layout(320, 180);
    std::vector<DmaBuf> slots;
    slots.push_back(
        open_heap("memfd")->allocate(layout.slot_bytes, Exposure::private_memory, meter));
    const auto viewed = display.views().import(slots, layout);
    Snapshot snapshot;
    snapshot.paths.resize(1);
    snapshot.paths[0].name = "zero-copy";
    snapshot.paths[0].shown = 0;
    Panel panel;
    int frames = 0;
    while (frames < 4 && display.next_frame()) {
        display.views().draw(0, *viewed, 0);
        display.draw(panel, snapshot);
        ++frames;
    }
    const Picture picture = display.read();
    fmt::print("{} frames of {}x{}, imported as {}\n", frames, picture.width, picture.height,
               viewed->import() == ImportKind::dma_buf ? "dma-buf" : "host pointer");
}

} // namespace

int main(int count, char** arguments) {
    try {
        show(count > 1 && arguments[1] == std::string_view("window"));
        return 0;
    } catch (const Error& error) {
        fmt::print(stderr, "{}\n", error.what());
        return static_cast<int>(error.failure());
    }
}
