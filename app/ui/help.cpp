#include "ui/parts.h"

#include <array>

namespace clearframe {
namespace {

struct Entry {
    const char* key;
    const char* text;
};
constexpr std::array<Entry, 15> keys = {{
    {"Space", "pause, go on"},
    {"1  2", "each path on or off"},
    {"I", "paths interleaved, or one at a time"},
    {"F", "next frame size"},
    {"C", "next scene"},
    {"V", "next way of verifying"},
    {"[  ]", "half, or twice, the slots of the ring"},
    {"N", "next rate of the emulated NIC"},
    {"R", "measure from the beginning"},
    {"S", "save the results as JSON"},
    {"F12", "save a picture of this window"},
    {"D", "what the doctor finds, and what mends it"},
    {"F1  ?", "this help"},
    {"Esc", "close it"},
    {"Q", "end"},
}};

constexpr std::array<Entry, 7> words = {{
    {"zero-copy", "The GPU draws into shared memory, and the NIC sends that very memory."},
    {"staging", "What such a VM does today: the frame lies in private memory, the CPU copies it "
                "into a shared pool for the NIC, and out again at the other end."},
    {"shared", "Memory that a device reaches without help, and that the host can read."},
    {"private",
     "Memory that a confidential VM keeps encrypted. No device without TDISP gets at it."},
    {"emulated", "Not the thing that a confidential VM would use. Amber wherever it bears on a "
                 "figure; rest the pointer on it for why."},
    {"interleaved", "Short blocks of each path in turn, so that what slows the machine slows both. "
                    "The interval comes from pairs of blocks."},
    {"0 bytes", "By a counter in the one place of this program that copies frames; and the GPU's "
                "and the NIC's buffer are one, by inode."},
}};

} // namespace

void draw_help(const Pen& pen, const Box& window) {
    const Theme& theme = pen.theme;
    pen.fill(window, 0x05080c, 0, 0.72f);
    constexpr float width = 900, height = 529;
    const Box card{window.middle_x() - width / 2, window.middle_y() - height / 2, width, height};
    pen.fill(card, 0x1a2029, 10);
    pen.outline(card, 0x46505d, 10);
    Box inside = card.inset(30, 24);
    const Box heading = inside.take_top(40);
    pen.text(theme.title, {heading.x, heading.y + 12}, colours::text, "Keys and words");
    pen.text(theme.small, {heading.right(), heading.y + 12}, colours::dim, "F1 or Esc closes this",
             Align::right);

    Box left = inside.take_left(350);
    inside.take_left(24);
    for (const Entry& entry : keys) {
        const Box row = left.take_top(29);
        const float wide = pen.width(theme.mono, entry.key) + 14;
        pen.fill({row.x, row.middle_y() - 11, wide, 22}, 0x2a323d, 4);
        pen.text(theme.mono, {row.x + 7, row.middle_y()}, colours::text, entry.key);
        pen.text(theme.text, {row.x + 84, row.middle_y()}, colours::dim, entry.text);
    }
    for (const Entry& entry : words) {
        pen.text(theme.strong, {inside.x, inside.y + 10}, colours::text, entry.key);
        const float high = pen.wrapped(theme.text, {inside.x + 92, inside.y + 2}, colours::dim,
                                       entry.text, inside.width - 92);
        inside.take_top(high + 13);
    }
}

} // namespace clearframe
