// The panel: everything in the window but the frames themselves. Reads a snapshot, draws it with
// Dear ImGui and returns what was asked for.
#pragma once

#include "measure/snapshot.h"
#include "ui/theme.h"

#include <optional>
#include <span>
#include <vector>

namespace clearframe {

// A key: the character it types, in the user's layout ('s', '?', '['), or one of these.
using Key = char32_t;
inline constexpr Key key_escape = 0x1b;
inline constexpr Key key_f1 = 0xf0001;
inline constexpr Key key_f12 = 0xf000c;

// What the user asked for in one frame.
struct PanelActions {
    std::optional<DemoSettings> settings; // all of them, with what was changed
    bool restart = false;                 // measure from the beginning, or again after a failure
    bool save_results = false;
    bool screenshot = false;
    bool quit = false;
};

// Where the frames of one path are to be seen, in pixels of the canvas. They are drawn first, the
// panel over them.
struct ViewArea {
    std::uint32_t x = 0, y = 0, width = 0, height = 0;
};

// Used by one thread. Allocates while it draws only what Dear ImGui does.
class Panel {
public:
    // Draws one frame, between ImGui::NewFrame() and ImGui::Render(), over the whole display.
    // `keys` were pressed since the last one.
    PanelActions draw(const Snapshot& snapshot, const Theme& theme, std::span<const Key> keys);

    // Of the last draw(): one area for each of snapshot.paths.
    std::span<const ViewArea> views() const noexcept { return views_; }

    void open_help(bool open) noexcept { help_open_ = open; }
    bool is_help_open() const noexcept { return help_open_; }

private:
    std::vector<ViewArea> views_;
    bool help_open_ = false;
};

} // namespace clearframe
