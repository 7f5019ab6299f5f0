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
inline constexpr Key key_up = 0xf0010;
inline constexpr Key key_down = 0xf0011;
inline constexpr Key key_page_up = 0xf0012;
inline constexpr Key key_page_down = 0xf0013;

// What the user asked for in one frame.
struct PanelActions {
    std::optional<DemoSettings> settings; // all of them, with what was changed
    bool restart = false;                 // measure from the beginning, or again after a failure
    bool save_results = false;
    bool screenshot = false;
    bool examine = false; // the doctor's view was opened: have it look
    bool quit = false;
};

// What lies over everything else.
enum class Overlay { none, help, doctor };

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

    // `scroll`: units that the overlay's contents are moved up by, where they have no room.
    void open(Overlay overlay, float scroll = 0) noexcept {
        overlay_ = overlay;
        scroll_ = scroll;
    }
    Overlay overlay() const noexcept { return overlay_; }

private:
    std::vector<ViewArea> views_;
    Overlay overlay_ = Overlay::none;
    float scroll_ = 0;
};

} // namespace clearframe
