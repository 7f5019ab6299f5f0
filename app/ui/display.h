// What the panel and the frames are drawn on: a canvas in memory, and a window that shows it or
// none. Both are the same picture, made by the same code.
#pragma once

#include "core/clock.h"
#include "gpu/frame_view.h"
#include "ui/panel.h"
#include "ui/picture.h"

#include <cstdint>
#include <memory>
#include <string>

namespace clearframe {

struct DisplayOptions {
    bool window = true;
    std::uint32_t width = 1440, height = 900; // units (ui/theme.h); the canvas has `scale` as many
    double scale = 0;                         // pixels a unit; 0: the monitor's, 1 without a window
    double frames_per_s = 30;                 // at most
    std::string gpu; // the name of the device to draw with, if it can; empty: the best one
    bool validation = false;
};

// Used by one thread, the main one (GLFW demands it), but for views().import().
class Display {
public:
    // Opens the window, if there is to be one, and a device that can draw (and present). Throws
    // Error: unavailable, with what is missing and what to do.
    explicit Display(const DisplayOptions& options);
    ~Display();
    Display(const Display&) = delete;
    Display& operator=(const Display&) = delete;

    FrameViews& views();
    // The device it draws with, and how the window is shown: "llvmpipe …; X11", "…; no window".
    std::string describe() const;

    // Handles what happens in the window and sleeps until the next frame is due. False once the
    // window is to be closed, or its display has gone away.
    bool next_frame();

    // Lays out the panel, puts the views' pictures where the panel has room for them, draws it all
    // on the canvas and shows it. Returns when the canvas is drawn. Throws Error (device lost).
    PanelActions draw(Panel& panel, const Snapshot& snapshot);
    PanelCost cost() const; // over the last second

    // What the last draw() made. Throws Error.
    Picture read() const;

    // Without a window: where the pointer is, in units, for the frames to come.
    void set_pointer(double x, double y);

    // Of the validation layers, if they are on.
    std::uint64_t validation_messages() const;
    std::string first_validation_message() const;

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

} // namespace clearframe
