// Where we are, and what it costs to show it.
#include "core/units.h"
#include "ui/parts.h"

#include <fmt/format.h>

#include <algorithm>

namespace clearframe {
namespace {

struct Chip {
    std::string kind;
    std::string name;
    std::string word; // "emulated", "software": what it is not; empty: it is real
    std::string why;  // on hover
};

std::string reasons(const Part& part) {
    std::string text = part.detail;
    if (part.emulated)
        text += fmt::format("{}Emulated: {}", text.empty() ? "" : "\n", part.emulation);
    for (const Refusal& refusal : part.refused)
        text += fmt::format("\nNot {}: {}", refusal.name, refusal.reason);
    return text;
}

// "llvmpipe (LLVM 15.0.6, 256 bits)": what stands in brackets is for the tooltip.
std::string short_name(const std::string& name) { return name.substr(0, name.find(" (")); }

Chip guest_chip(const Snapshot& now) {
    const std::string& guest = now.environment.guest;
    if (guest == "none" || guest.empty())
        return {"Guest", "ordinary", "not confidential",
                "This machine is not a confidential VM: its host, if there is one, can read all of "
                "its memory anyway. Memory that is called shared or private here plays its part."};
    if (guest == "unknown")
        return {"Guest", "confidential", "kind unknown",
                "There is a heap of shared memory, but neither SEV nor TDX shows itself: a kind "
                "that this program does not know, or a test guest, in which nothing is encrypted."};
    return {"Guest", guest, "",
            "A confidential VM: the host reads only the memory that is shared with it."};
}

Chip part_chip(const Snapshot& now, std::string_view kind, std::string title) {
    const Part* part = now.part(kind);
    if (!part)
        return {std::move(title), "–", "unknown", "not opened yet"};
    std::string word;
    if (part->emulated)
        word = kind == "gpu" && part->name != "none" ? "software" : "emulated";
    std::string name = short_name(part->name);
    if (name == word)
        name.clear(); // "NIC emulated"
    return {std::move(title), std::move(name), std::move(word), reasons(*part)};
}

// Draws the chip at `x` and gives its width. A click opens the doctor's view.
float draw_chip(const Pen& pen, float x, float middle, const Chip& chip, Overlay& overlay) {
    const Theme& theme = pen.theme;
    const Colour state = chip.word.empty() ? colours::good : colours::attention;
    constexpr float name_most = 150;
    const float space = 5;
    const float kind_width = pen.width(theme.small, chip.kind);
    const float name_width =
        chip.name.empty() ? 0 : std::min(pen.width(theme.small, chip.name), name_most) + space;
    const float word_width = chip.word.empty() ? 0 : pen.width(theme.small, chip.word) + space;
    const Box box{x, middle - 13, 24 + kind_width + name_width + word_width + 12, 26};
    pen.fill(box, colours::background, 13, 0.6f);
    pen.outline(box, state, 13);
    pen.disc({x + 14, middle}, 3.5f, state);
    float at = x + 24;
    pen.text(theme.small, {at, middle}, colours::dim, chip.kind);
    at += kind_width + space;
    if (!chip.name.empty()) {
        pen.fitted(theme.small, {at, middle}, colours::text, chip.name, name_most);
        at += name_width;
    }
    if (!chip.word.empty())
        pen.text(theme.small, {at, middle}, state, chip.word);
    const Touch touched = touch(theme, box, chip.kind.c_str());
    if (touched.clicked)
        overlay = Overlay::doctor;
    if (touched.hovered)
        tooltip(theme,
                fmt::format("{}: {}", chip.kind,
                            chip.word.empty()   ? chip.name + ", real"
                            : chip.name.empty() ? chip.word
                                                : chip.name + ", " + chip.word),
                chip.why + "\nD, or a click: what the doctor finds, and what mends it");
    return box.width;
}

// "heap, GPU and NIC".
std::string listed(const std::vector<std::string>& words) {
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i)
        text += fmt::format("{}{}", i == 0 ? "" : i + 1 == words.size() ? " and " : ", ", words[i]);
    return text;
}

} // namespace

std::string emulated_parts(const Snapshot& now) {
    std::vector<std::string> kinds;
    for (const auto& [kind, title] :
         {std::pair("heap", "heap"), std::pair("gpu", "GPU"), std::pair("nic", "NIC")})
        if (const Part* part = now.part(kind); part && part->emulated)
            kinds.emplace_back(title);
    return listed(kinds);
}

void draw_header(const Pen& pen, const Box& box, const Snapshot& now, Overlay& overlay) {
    const Theme& theme = pen.theme;
    pen.fill(box, colours::bar);
    pen.line({box.x, box.bottom()}, {box.right(), box.bottom()}, colours::border);
    const float middle = box.middle_y();
    float x = 20;
    x += pen.text(theme.title, {x, middle}, colours::text,
                  now.receiving ? "clearframe recv" : "clearframe") +
         22;
    x += draw_chip(pen, x, middle, guest_chip(now), overlay) + 12;
    x += draw_chip(pen, x, middle, part_chip(now, "heap", "Heap"), overlay) + 12;
    if (!now.receiving)
        x += draw_chip(pen, x, middle, part_chip(now, "gpu", "GPU"), overlay) + 12;
    else if (now.part("gpu"))
        x += draw_chip(pen, x, middle, part_chip(now, "gpu", "Sender's GPU"), overlay) + 12;
    x += draw_chip(pen, x, middle, part_chip(now, "nic", "NIC"), overlay) + 12;

    const std::string readable =
        fmt::format("{} readable by the host", bytes_text(now.host_readable_bytes));
    const float room = box.right() - 20 - x - 14;
    const float wide = std::min(room, pen.width(theme.small, readable));
    pen.fitted(theme.small, {box.right() - 20, middle}, colours::text, readable, room,
               Align::right);
    pen.disc({box.right() - 20 - wide - 10, middle}, 3.5f, colours::attention);
    const Box area{box.right() - 20 - wide - 16, middle - 13, wide + 20, 26};
    if (touch(theme, area, "readable").hovered)
        tooltip(theme, readable,
                "Frames in shared memory, the staging pool and what the NIC writes into: the host "
                "of a confidential VM can read and change it while it is in use. All of it is "
                "zeroed before it is given back.");
}

void draw_footer(const Pen& pen, const Box& box, const Snapshot& now) {
    const Theme& theme = pen.theme;
    const float middle = box.middle_y();
    const std::string cost =
        now.cost.frames_per_s > 0
            ? fmt::format("this window: {:.0f} frames/s, panel {} ms, drawing {} ms",
                          now.cost.frames_per_s, short_number(now.cost.panel_ms),
                          short_number(now.cost.draw_ms))
            : std::string();
    const float cost_width =
        pen.text(theme.small, {box.right(), middle}, colours::faint, cost, Align::right);
    const float room = box.width - cost_width - 24;
    if (!now.trouble.empty() && now.state != DemoState::failed)
        pen.fitted(theme.small, {box.x, middle}, colours::attention, now.trouble, room);
    else if (!now.notice.empty())
        pen.fitted(theme.small, {box.x, middle}, colours::good, now.notice, room);
    else if (!theme.lack.empty())
        pen.fitted(theme.small, {box.x, middle}, colours::attention, theme.lack, room);
    else
        pen.fitted(theme.small, {box.x, middle}, colours::faint,
                   fmt::format("{}, {}, {} cores", now.environment.program, now.environment.cpu,
                               now.environment.cores),
                   room);
}

} // namespace clearframe
