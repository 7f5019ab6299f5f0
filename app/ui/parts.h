// The parts of the panel, each drawn into a box of its own. Inside ui/ only.
#pragma once

#include "measure/snapshot.h"
#include "ui/panel.h"
#include "ui/pen.h"

#include <span>
#include <string>
#include <string_view>

namespace clearframe {

// Where we are: the guest and each part, real or not, and what the host can read. A click on a part
// opens the doctor's view.
void draw_header(const Pen& pen, const Box& box, const Snapshot& now, Overlay& overlay);

// The frames of one path as they were received, with what is known of them. Gives the area that
// the picture itself is to fill, inside the view's frame, in units.
Box draw_view(const Pen& pen, const Box& box, const Snapshot& now, const PathSnapshot& path);
// Of the lines above and below the picture.
inline constexpr float view_lines = 26 + 24;

// What can honestly be said of the comparison so far.
struct Headline {
    std::string ratio;              // empty while there is none
    Colour colour = colours::faint; // dim where the ratio is not to be relied on
    std::string sentence;
    std::string sure;           // the interval, or why there is none
    std::string cpu;            // may be empty
    std::string what = "ratio"; // of this machine, where parts are emulated
};
Headline headline(const Snapshot& now);
// The ratio, how sure it is, and what of it is emulated.
void draw_headline(const Pen& pen, const Box& box, const Snapshot& now);
void draw_paths_table(const Pen& pen, const Box& box, const Snapshot& now);
// Where a frame's time goes: a bar a path.
void draw_stages(const Pen& pen, const Box& box, const Snapshot& now);
// A row of boxes and arrows a path.
void draw_data_path(const Pen& pen, const Box& box, const Snapshot& now);
void draw_throughput(const Pen& pen, const Box& box, const Snapshot& now);

// The settings, and the buttons below them. What was clicked is put into `wanted` and `actions`.
void draw_controls(const Pen& pen, const Box& box, const Snapshot& now, DemoSettings& wanted,
                   PanelActions& actions, Overlay& overlay);
// In place of the controls, where this end only receives: who decides instead, and what.
void draw_receiving_end(const Pen& pen, const Box& box, const Snapshot& now,
                        const ReceivingEnd& end, PanelActions& actions, Overlay& overlay);
// What a key does to the window, and to the settings where they can be changed.
void press_key(Key key, const Snapshot& now, DemoSettings& wanted, PanelActions& actions,
               Overlay& overlay);

// Over everything: every key, and the words of the panel.
void draw_help(const Pen& pen, const Box& window);
// Over everything: what the doctor found. The wheel and those of `keys` that do so change `scroll`,
// the units that it is moved up by; it is kept within what there is to see.
void draw_doctor(const Pen& pen, const Box& window, const Snapshot& now, std::span<const Key> keys,
                 float& scroll);
// In place of the views: what failed and what to do.
void draw_trouble(const Pen& pen, const Box& box, const Snapshot& now, PanelActions& actions);
void draw_footer(const Pen& pen, const Box& box, const Snapshot& now);

// "heap, GPU and NIC": what of this run is emulated; empty when all is real.
std::string emulated_parts(const Snapshot& now);

} // namespace clearframe
