// The settings: a row each, and a key each.
#include "ui/parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace clearframe {
namespace {

struct FrameSize {
    const char* name;
    std::uint32_t width, height;
};
constexpr std::array<FrameSize, 4> sizes = {
    {{"720p", 1280, 720}, {"1080p", 1920, 1080}, {"4K", 3840, 2160}, {"8K", 7680, 4320}}};

struct Rate {
    const char* name;
    double gbits_per_s;
};
constexpr std::array<Rate, 4> rates = {
    {{"memory's", 0}, {"100 Gb/s", 100}, {"25 Gb/s", 25}, {"10 Gb/s", 10}}};

constexpr std::array<const char*, 3> verifications = {"off", "sampled", "full"};

std::string scene_text(const std::string& scene) {
    return scene == "test-card" ? "test card" : scene == "none" ? "none" : scene;
}
std::string verify_text(std::string_view verify) {
    return verify == "full" ? "every pixel" : std::string(verify);
}

bool takes_part(const DemoSettings& settings, std::string_view path) {
    return std::find(settings.paths.begin(), settings.paths.end(), path) != settings.paths.end();
}

// One path at least takes part, and they stay in the order of the choices.
void toggle(DemoSettings& settings, const DemoChoices& choices, const std::string& path) {
    std::vector<std::string> paths;
    for (const std::string& each : choices.paths)
        if (takes_part(settings, each) != (each == path))
            paths.push_back(each);
    if (!paths.empty())
        settings.paths = std::move(paths);
}

void toggle(Overlay& overlay, Overlay which) { overlay = overlay == which ? Overlay::none : which; }

// The element after `value`; the first one if it is none of them.
template <typename List, typename Value>
auto next_of(const List& list, const Value& value) {
    const auto found = std::find(list.begin(), list.end(), value);
    return found == list.end() || std::next(found) == list.end() ? *list.begin()
                                                                 : *std::next(found);
}

void next_size(DemoSettings& settings) {
    const auto found = std::find_if(sizes.begin(), sizes.end(), [&](const FrameSize& size) {
        return size.width == settings.width && size.height == settings.height;
    });
    const FrameSize& size =
        found == sizes.end() || std::next(found) == sizes.end() ? sizes[0] : *std::next(found);
    settings.width = size.width;
    settings.height = size.height;
}

void next_rate(DemoSettings& settings) {
    const auto found = std::find_if(rates.begin(), rates.end(), [&](const Rate& rate) {
        return rate.gbits_per_s == settings.nic_gbits_per_s;
    });
    settings.nic_gbits_per_s = found == rates.end() || std::next(found) == rates.end()
                                   ? rates[0].gbits_per_s
                                   : std::next(found)->gbits_per_s;
}

// A row of choices: a label, buttons after it, the key at the end.
class Row {
public:
    Row(const Pen& pen, const Box& box, std::string_view label, std::string_view key)
        : pen_(pen), box_(box), x_(box.x + 70) {
        const Theme& theme = pen.theme;
        pen.text(theme.small, {box.x, box.middle_y()}, colours::dim, label);
        pen.text(theme.mono_small, {box.right(), box.middle_y()}, colours::faint, key,
                 Align::right);
        end_ = box.right() - pen.width(theme.mono_small, key) - 8;
    }

    // True when it was clicked.
    bool button(std::string_view text, bool on, bool enabled = true) {
        const Theme& theme = pen_.theme;
        const float wide = pen_.width(theme.small, text) + 18;
        const float high = std::min(26.0f, box_.height - 4);
        const Box box{x_, box_.middle_y() - high / 2, wide, high};
        x_ += wide + 6;
        if (box.right() > end_ + 1)
            return false; // no room: the key still does it
        const Touch touched = touch(theme, box, fmt::format("{}@{}", text, box_.y).c_str());
        pen_.fill(box, on ? colours::on : colours::raised, 5, enabled || on ? 1.0f : 0.5f);
        pen_.outline(box,
                     on                           ? colours::on_border
                     : touched.hovered && enabled ? colours::dim
                                                  : colours::border,
                     5);
        pen_.text(theme.small, {box.middle_x(), box.middle_y()},
                  on || enabled ? colours::text : colours::faint, text, Align::centre);
        return touched.clicked && enabled;
    }

    float x() const { return x_; }
    float end() const { return end_; }
    const Box& box() const { return box_; }

private:
    const Pen& pen_;
    Box box_;
    float x_;
    float end_ = 0;
};

// From the fewest slots to the most, each doubling as far apart as the one before.
void draw_ring(const Pen& pen, Row& row, const Snapshot& now, DemoSettings& wanted) {
    const auto least = static_cast<float>(now.choices.least_ring);
    const auto most =
        static_cast<float>(std::max(now.choices.most_ring, now.choices.least_ring + 1));
    const Theme& theme = pen.theme;
    const Box track{row.x() + 4, row.box().middle_y() - 2, row.end() - row.x() - 78, 4};
    const Box area{track.x - 6, row.box().y, track.width + 12, row.box().height};
    const Touch touched = touch(theme, area, "ring");
    const float range = std::log2(most / least);
    if (touched.held) {
        const float share = std::clamp((touched.pointer.x - track.x) / track.width, 0.0f, 1.0f);
        wanted.ring = static_cast<std::uint32_t>(std::lround(least * std::exp2(share * range)));
    }
    const float share = std::clamp(
        std::log2(static_cast<float>(std::max(wanted.ring, 1u)) / least) / range, 0.0f, 1.0f);
    pen.fill(track, colours::border, 2);
    pen.fill({track.x, track.y, track.width * share, track.height}, colours::on_border, 2);
    pen.disc({track.x + track.width * share, track.middle_y()}, touched.held ? 8 : 7,
             colours::text);
    pen.text(theme.small, {row.end(), row.box().middle_y()}, colours::text,
             fmt::format("{} slots", wanted.ring), Align::right);
}

void set_ring(DemoSettings& wanted, const DemoChoices& choices, bool more) {
    const std::uint32_t ring = more ? wanted.ring * 2 : wanted.ring / 2;
    wanted.ring =
        std::clamp(ring, choices.least_ring, std::max(choices.most_ring, choices.least_ring));
}

bool action_button(const Pen& pen, const Box& box, std::string_view text, std::string_view key,
                   bool strong = false) {
    const Theme& theme = pen.theme;
    const Touch touched = touch(theme, box, std::string(text).c_str());
    pen.fill(box, strong ? colours::on : colours::raised, 5);
    pen.outline(box,
                touched.hovered ? colours::dim
                : strong        ? colours::on_border
                                : colours::border,
                5);
    pen.text(theme.small, {box.middle_x(), box.middle_y() - 7}, colours::text, text, Align::centre);
    pen.text(theme.mono_small, {box.middle_x(), box.middle_y() + 8}, colours::faint, key,
             Align::centre);
    return touched.clicked;
}

// What a key does to the stream.
void change(Key key, const Snapshot& now, DemoSettings& wanted, PanelActions& actions) {
    switch (key) {
    case U'r':
        actions.restart = true;
        return;
    case U's':
        actions.save_results = true;
        return;
    case U' ':
        wanted.paused = !wanted.paused;
        return;
    case U'i':
        wanted.interleaved = !wanted.interleaved;
        return;
    case U'f':
        next_size(wanted);
        return;
    case U'c':
        if (!now.choices.scenes.empty())
            wanted.scene = next_of(now.choices.scenes, wanted.scene);
        return;
    case U'v':
        wanted.verify = next_of(verifications, std::string_view(wanted.verify));
        return;
    case U'n':
        if (now.choices.nic_rate)
            next_rate(wanted);
        return;
    case U'[':
    case U']':
        set_ring(wanted, now.choices, key == U']');
        return;
    default:
        if (key >= U'1' && key - U'1' < now.choices.paths.size())
            toggle(wanted, now.choices, now.choices.paths[key - U'1']);
    }
}

// Buttons of one width side by side, from the left.
class ButtonRow {
public:
    ButtonRow(const Box& row, float count)
        : rest_(row), wide_((row.width - (count - 1) * space) / count) {}

    Box operator()() {
        const Box button = rest_.take_left(wide_);
        rest_.take_left(space);
        return button;
    }

private:
    static constexpr float space = 8;
    Box rest_;
    float wide_;
};

} // namespace

void draw_controls(const Pen& pen, const Box& box, const Snapshot& now, DemoSettings& wanted,
                   PanelActions& actions, Overlay& overlay) {
    Box inside = pen.card(box, "Run");
    Box buttons = inside.take_bottom(36);
    inside.take_bottom(8);
    constexpr float rows = 7;
    const float row_height = std::min(46.0f, inside.height / rows);
    const auto row = [&](std::string_view label, std::string_view key) {
        return Row(pen, inside.take_top(row_height), label, key);
    };
    const DemoChoices& choices = now.choices;

    Row paths = row("Paths", "1 2");
    for (const std::string& path : choices.paths)
        if (paths.button(path, takes_part(wanted, path)))
            toggle(wanted, choices, path);
    Row compare = row("Compare", "I");
    if (compare.button("interleaved", wanted.interleaved))
        wanted.interleaved = true;
    if (compare.button("one at a time", !wanted.interleaved))
        wanted.interleaved = false;
    Row frame = row("Frame", "F");
    bool known = false;
    for (const FrameSize& size : sizes) {
        const bool on = wanted.width == size.width && wanted.height == size.height;
        known |= on;
        if (frame.button(size.name, on)) {
            wanted.width = size.width;
            wanted.height = size.height;
        }
    }
    if (!known)
        frame.button(fmt::format("{}×{}", wanted.width, wanted.height), true);
    Row scene = row("Scene", "C");
    for (const std::string& each : choices.scenes)
        if (scene.button(scene_text(each), wanted.scene == each))
            wanted.scene = each;
    Row verify = row("Verify", "V");
    for (const char* each : verifications)
        if (verify.button(verify_text(each), wanted.verify == each))
            wanted.verify = each;
    Row ring = row("Ring", "[ ]");
    draw_ring(pen, ring, now, wanted);
    Row rate = row("NIC rate", choices.nic_rate ? "N" : "");
    bool known_rate = !choices.nic_rate;
    for (const Rate& each : rates) {
        const bool on = choices.nic_rate && wanted.nic_gbits_per_s == each.gbits_per_s;
        known_rate |= on;
        if (choices.nic_rate && rate.button(each.name, on))
            wanted.nic_gbits_per_s = each.gbits_per_s;
    }
    if (!choices.nic_rate)
        rate.button("the hardware's", true, false);
    else if (!known_rate)
        rate.button(fmt::format("{} Gb/s", short_number(wanted.nic_gbits_per_s)), true);

    ButtonRow next(buttons, 5);
    if (action_button(pen, next(), wanted.paused ? "Go on" : "Pause", "Space", wanted.paused))
        wanted.paused = !wanted.paused;
    actions.restart |= action_button(pen, next(), "Restart", "R");
    actions.save_results |= action_button(pen, next(), "Save results", "S");
    actions.screenshot |= action_button(pen, next(), "Screenshot", "F12");
    if (action_button(pen, next(), "Help", "F1"))
        toggle(overlay, Overlay::help);
}

void draw_receiving_end(const Pen& pen, const Box& box, const Snapshot& now,
                        const ReceivingEnd& end, PanelActions& actions, Overlay& overlay) {
    const Theme& theme = pen.theme;
    Box inside = pen.card(box, "This end receives: the sender decides");
    Box buttons = inside.take_bottom(36);
    inside.take_bottom(8);
    const auto part = [&](std::string_view kind) {
        for (const Part& each : end.parts)
            if (each.kind == kind)
                return each.name + (each.emulated && each.name != "emulated" ? ", emulated" : "");
        return std::string("–");
    };
    struct Fact {
        const char* label;
        std::string text;
    };
    std::vector<Fact> facts{{"Listening", end.listening}};
    if (end.sender.empty())
        facts.push_back({"Sender", "none has come yet"});
    else
        facts.insert(
            facts.end(),
            {{"Sender", end.sender + (now.state == DemoState::waiting ? ", has gone" : "")},
             {"Program", end.program},
             {"Its heap", part("heap")},
             {"Its GPU", part("gpu")},
             {"Its NIC", part("nic")},
             {"Frame", fmt::format("{}×{}", now.settings.width, now.settings.height)},
             {"Scene", scene_text(now.settings.scene)},
             {"Verify", verify_text(now.settings.verify)},
             {"Ring", fmt::format("{} slots at each end", now.settings.ring)}});
    const float row_height =
        std::min(30.0f, inside.height / static_cast<float>(std::max<std::size_t>(facts.size(), 1)));
    for (const Fact& fact : facts) {
        const Box row = inside.take_top(row_height);
        pen.text(theme.small, {row.x, row.middle_y()}, colours::dim, fact.label);
        pen.fitted(theme.small, {row.x + 70, row.middle_y()}, colours::text, fact.text,
                   row.width - 70);
    }

    ButtonRow next(buttons, 3);
    actions.screenshot |= action_button(pen, next(), "Screenshot", "F12");
    if (action_button(pen, next(), "Help", "F1"))
        toggle(overlay, Overlay::help);
    actions.quit |= action_button(pen, next(), "End", "Q");
}

void press_key(Key key, const Snapshot& now, DemoSettings& wanted, PanelActions& actions,
               Overlay& overlay) {
    switch (key) {
    case key_escape:
        overlay = Overlay::none;
        return;
    case key_f1:
    case U'?':
    case U'h':
        toggle(overlay, Overlay::help);
        return;
    case U'd':
        toggle(overlay, Overlay::doctor);
        return;
    case key_f12:
        actions.screenshot = true;
        return;
    case U'q':
        actions.quit = true;
        return;
    default:
        if (!now.receiving)
            change(key, now, wanted, actions);
    }
}

} // namespace clearframe
