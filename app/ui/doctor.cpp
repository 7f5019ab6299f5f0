// What the doctor found, over the panel: each finding with its mark and what mends it, and who
// takes memory of which heap.
#include "ui/parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace clearframe {
namespace {

constexpr float text_indent = 20; // after the mark
constexpr float column_gap = 36;
constexpr float line_step = 40; // of the wheel's notch and of the arrow keys

Colour health_colour(Health health) {
    switch (health) {
    case Health::good:
        return colours::good;
    case Health::attention:
        return colours::attention;
    case Health::missing:
        break;
    }
    return colours::bad;
}

// Told apart by shape, too.
void health_mark(const Pen& pen, Point2 centre, Health health) {
    const Colour colour = health_colour(health);
    constexpr float r = 4.5f;
    if (health == Health::good)
        pen.disc(centre, r, colour);
    else if (health == Health::attention)
        pen.triangle({centre.x - r, centre.y + r}, {centre.x + r, centre.y + r},
                     {centre.x, centre.y - r}, colour);
    else
        pen.fill({centre.x - r, centre.y - r, 2 * r, 2 * r}, colour, 1);
}

// Text from the top of a column down. Without `visible` it measures alone.
class Column {
public:
    Column(const Pen& pen, const Box& box, bool visible)
        : pen_(pen), box_(box), visible_(visible) {}

    void paragraph(const Face& face, Colour colour, std::string_view text, float indent,
                   float space) {
        const float width = box_.width - indent;
        height_ += (visible_ ? pen_.wrapped(face, {box_.x + indent, bottom()}, colour, text, width)
                             : pen_.wrapped_height(face, text, width)) +
                   space;
    }
    void finding(const Finding& finding) {
        const Theme& theme = pen_.theme;
        if (visible_)
            health_mark(pen_, {box_.x + 6, bottom() + 9}, finding.health);
        paragraph(theme.text, colours::text, finding.subject, text_indent, 1);
        paragraph(theme.small, colours::dim, finding.sentence, text_indent, 0);
        if (!finding.mend.empty())
            paragraph(theme.small, health_colour(finding.health), "→ " + finding.mend, text_indent,
                      0);
        height_ += 7;
    }
    void section(const DoctorView::Section& section) {
        paragraph(pen_.theme.strong, colours::text, section.name, 0, 5);
        for (const Finding& each : section.findings)
            finding(each);
        height_ += 10;
    }
    float height() const { return height_; }

private:
    float bottom() const { return box_.y + height_; }

    const Pen& pen_;
    Box box_;
    bool visible_;
    float height_ = 0;
};

float section_height(const Pen& pen, float width, const DoctorView::Section& section) {
    Column column(pen, {0, 0, width, 0}, false);
    column.section(section);
    return column.height();
}

// The sections in two columns, of which the first has half of it or a little more; the height.
float draw_sections(const Pen& pen, const Box& box, const DoctorView& view) {
    const float width = (box.width - column_gap) / 2;
    float whole = 0;
    for (const DoctorView::Section& section : view.sections)
        whole += section_height(pen, width, section);
    Column left(pen, {box.x, box.y, width, 0}, true);
    Column right(pen, {box.x + width + column_gap, box.y, width, 0}, true);
    for (const DoctorView::Section& section : view.sections)
        (left.height() < whole / 2 && right.height() == 0 ? left : right).section(section);
    return std::max(left.height(), right.height());
}

std::size_t place_of(std::vector<std::string>& names, const std::string& name) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found != names.end())
        return static_cast<std::size_t>(found - names.begin());
    names.push_back(name);
    return names.size() - 1;
}

// Importers down, heaps across; why not, in notes below. The height.
float draw_matrix(const Pen& pen, const Box& box, const std::vector<ImportTrial>& matrix) {
    if (matrix.empty())
        return 0;
    const Theme& theme = pen.theme;
    constexpr float row = 20, notes_indent = 24;
    std::vector<std::string> heaps, importers, notes;
    for (const ImportTrial& trial : matrix)
        place_of(heaps, trial.heap);
    const float names = box.width * 0.4f;
    const float cell = std::min(150.0f, (box.width - names) / static_cast<float>(heaps.size()));
    float y = box.y + 8;
    pen.text(theme.strong, {box.x, y}, colours::text, "Who takes memory of which heap");
    y += row + 2;
    for (std::size_t i = 0; i < heaps.size(); ++i)
        pen.fitted(theme.small, {box.x + names + static_cast<float>(i) * cell, y}, colours::dim,
                   heaps[i], cell - 10);
    const float top = y + row;
    for (const ImportTrial& trial : matrix) {
        const std::size_t known = importers.size();
        const float line = top + static_cast<float>(place_of(importers, trial.importer)) * row;
        if (importers.size() > known)
            pen.fitted(theme.small, {box.x, line}, colours::text, trial.importer, names - 16);
        const float x = box.x + names + static_cast<float>(place_of(heaps, trial.heap)) * cell;
        health_mark(pen, {x + 5, line}, trial.imported() ? Health::good : Health::attention);
        pen.text(theme.small, {x + 16, line}, colours::dim,
                 trial.imported() ? "yes"
                                  : fmt::format("no: {}", place_of(notes, trial.error) + 1));
    }
    y = top + static_cast<float>(importers.size()) * row + 2;
    for (std::size_t i = 0; i < notes.size(); ++i) {
        pen.wrapped(theme.small, {box.x, y}, colours::dim, fmt::format("{}", i + 1), notes_indent);
        y += pen.wrapped(theme.small, {box.x + notes_indent, y}, colours::dim, notes[i],
                         box.width - notes_indent) +
             4;
    }
    return y - box.y;
}

// How many findings there are of each health.
void draw_counts(const Pen& pen, const Box& box, const DoctorView& view) {
    float x = box.x;
    for (const Health health : {Health::good, Health::attention, Health::missing}) {
        std::ptrdiff_t count = 0;
        for (const DoctorView::Section& section : view.sections)
            count += std::ranges::count(section.findings, health, &Finding::health);
        health_mark(pen, {x + 6, box.middle_y()}, health);
        x += text_indent;
        x += pen.text(pen.theme.small, {x, box.middle_y()}, colours::text,
                      fmt::format("{} {}", count, health_name(health))) +
             22;
    }
}

void draw_bar(const Pen& pen, const Box& area, float content, float scroll) {
    const float share = area.height / content;
    const Box track{area.right() + 10, area.y, 5, area.height};
    pen.fill(track, colours::raised, 2);
    pen.fill({track.x, track.y + scroll * share, track.width, track.height * share}, colours::dim,
             2);
}

float scrolled(std::span<const Key> keys, float page) {
    constexpr std::array<std::pair<Key, float>, 2> lines = {
        {{key_up, -line_step}, {key_down, line_step}}};
    float by = -ImGui::GetIO().MouseWheel * line_step;
    for (const Key key : keys) {
        for (const auto& [line_key, units] : lines)
            by += key == line_key ? units : 0;
        by += key == key_page_up ? -page : key == key_page_down ? page : 0;
    }
    return by;
}

// A word in the middle, and why.
void draw_state(const Pen& pen, const Box& box, std::string_view word, std::string_view why,
                Colour colour) {
    const Theme& theme = pen.theme;
    pen.text(theme.lead, {box.middle_x(), box.middle_y() - 20}, colour, word, Align::centre);
    const float width = std::min(pen.width(theme.text, why) + 1, box.width * 0.7f);
    pen.wrapped(theme.text, {box.middle_x() - width / 2, box.middle_y() + 4}, colours::dim, why,
                width);
}

} // namespace

void draw_doctor(const Pen& pen, const Box& window, const Snapshot& now, std::span<const Key> keys,
                 float& scroll) {
    const Theme& theme = pen.theme;
    pen.fill(window, 0x05080c, 0, 0.72f);
    const float width = std::min(window.width - 60, 1320.0f);
    const Box card{window.middle_x() - width / 2, 26, width, window.height - 52};
    pen.fill(card, 0x1a2029, 10);
    pen.outline(card, 0x46505d, 10);
    Box inside = card.inset(30, 22);
    const Box heading = inside.take_top(34);
    pen.text(theme.title, {heading.x, heading.y + 10}, colours::text, "Will this machine do it?");
    pen.text(theme.small, {heading.right(), heading.y + 10}, colours::dim, "D or Esc closes this",
             Align::right);
    if (!now.doctor)
        return draw_state(pen, inside, "Not known", "Nobody has looked while this was recorded.",
                          colours::text);
    const DoctorView& view = *now.doctor;
    if (view.looking)
        return draw_state(
            pen, inside, "Looking …",
            "As a start would, in processes of their own: drivers that hang are waited "
            "for 2 s.",
            colours::text);
    if (!view.trouble.empty())
        return draw_state(pen, inside, "Nothing could be found out", view.trouble, colours::bad);

    const std::string sentence = verdict(view.real_path);
    inside.take_top(pen.wrapped(theme.text, {inside.x, inside.y},
                                view.real_path.whole ? colours::good : colours::attention, sentence,
                                inside.width) +
                    4);
    draw_counts(pen, inside.take_top(26), view);
    inside.take_top(8);

    scroll += scrolled(keys, inside.height - line_step);
    float content = 0;
    {
        const Clip clip(pen, inside);
        const Box paper{inside.x, inside.y - scroll, inside.width, 0};
        content = draw_sections(pen, paper, view);
        content += draw_matrix(pen, {paper.x, paper.y + content, paper.width, 0}, view.matrix);
    }
    // In force from the next frame on: only now is it known how much there is.
    scroll = std::clamp(scroll, 0.0f, std::max(0.0f, content - inside.height));
    if (content > inside.height)
        draw_bar(pen, inside, content, scroll);
}

} // namespace clearframe
