// The panel, without a GPU: what Dear ImGui was asked to draw, and what clicks and keys ask for.
#include "support/snapshots.h"
#include "ui/imgui_adapter.h"
#include "ui/panel.h"
#include "ui/parts.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <imgui.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace clearframe {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const std::filesystem::path states = CLEARFRAME_STATES;

Snapshot state(const std::string& name) {
    return snapshot_from_json(test::state_json(states, name).dump(), name);
}

struct Size {
    std::uint32_t width, height; // pixels
    float monitor;
};

// A panel on a canvas that is nowhere.
class Bench {
public:
    explicit Bench(Size size) : size_(size) {
        adapter_.load_fonts(panel_scale(size.width, size.height, size.monitor));
    }

    PanelActions draw(const Snapshot& snapshot, std::vector<Key> keys = {},
                      const Pointer& pointer = {}) {
        adapter_.begin_frame(size_.width, size_.height, 1.0f / 60, pointer);
        PanelActions actions = panel.draw(snapshot, adapter_.theme(), keys);
        data_ = &adapter_.end_frame();
        return actions;
    }

    // Moves the pointer to a place in units, presses and lets go there.
    PanelActions click(const Snapshot& snapshot, float x, float y) {
        const float scale = adapter_.theme().scale;
        Pointer pointer{.inside = true, .x = x * scale, .y = y * scale};
        draw(snapshot, {}, pointer);
        pointer.down[0] = true;
        PanelActions actions = draw(snapshot, {}, pointer);
        pointer.down[0] = false;
        PanelActions after = draw(snapshot, {}, pointer);
        if (after.settings)
            actions.settings = after.settings;
        actions.restart |= after.restart;
        actions.save_results |= after.save_results;
        actions.screenshot |= after.screenshot;
        actions.examine |= after.examine;
        return actions;
    }

    const ImDrawData& data() const { return *data_; }
    float scale() const { return adapter_.theme().scale; }

    Panel panel;

private:
    Size size_;
    ImGuiAdapter adapter_;
    const ImDrawData* data_ = nullptr;
};

// A character as it lies on the canvas: a quad with a place of its own in the fonts' texture.
struct Glyph {
    float left, top, right, bottom;
};

std::vector<Glyph> glyphs(const ImDrawList& list, ImVec2 white) {
    std::vector<Glyph> found;
    for (const ImDrawCmd& command : list.CmdBuffer)
        for (unsigned i = 0; i + 5 < command.ElemCount; ++i) {
            const auto vertex = [&](unsigned at) -> const ImDrawVert& {
                return list.VtxBuffer[static_cast<int>(
                    list.IdxBuffer[static_cast<int>(command.IdxOffset + at)] + command.VtxOffset)];
            };
            // Two triangles, 0 1 2 and 0 2 3, of the corners of a rectangle.
            const ImDrawVert &a = vertex(i), &c = vertex(i + 2);
            const bool quad = list.IdxBuffer[static_cast<int>(command.IdxOffset + i)] ==
                                  list.IdxBuffer[static_cast<int>(command.IdxOffset + i + 3)] &&
                              list.IdxBuffer[static_cast<int>(command.IdxOffset + i + 2)] ==
                                  list.IdxBuffer[static_cast<int>(command.IdxOffset + i + 4)];
            if (!quad || a.uv.x == c.uv.x || (a.uv.x == white.x && a.uv.y == white.y) ||
                (a.col >> IM_COL32_A_SHIFT) == 0 || c.uv.y - a.uv.y <= 0)
                continue;
            found.push_back({a.pos.x, a.pos.y, c.pos.x, c.pos.y});
            i += 5;
        }
    return found;
}

std::string place(const Glyph& glyph) {
    return fmt::format("({:.0f}, {:.0f})–({:.0f}, {:.0f})", glyph.left, glyph.top, glyph.right,
                       glyph.bottom);
}

std::vector<std::string> all_states() { return test::state_names(states); }

constexpr Size sizes[] = {
    {1280, 720, 1},    {1440, 900, 1},    {1920, 1080, 1}, {2560, 1440, 1},
    {1920, 1080, 1.5}, {2160, 1350, 1.5}, {2560, 1440, 2}, {2880, 1800, 2},
    {3840, 2160, 1.5}, {1000, 600, 1},    {3440, 1440, 1}, {1280, 1600, 1},
};

// Characters of one text do not lie on those of another, and none is outside the canvas.
TEST(Panel, NothingIsCutOrOverlaps) {
    for (const Size size : sizes) {
        Bench bench(size);
        for (const std::string& name : all_states()) {
            bench.draw(state(name));
            // The window's list alone: help and tooltips lie over it on purpose.
            const std::vector<Glyph> text =
                glyphs(*bench.data().CmdLists[0], ImGui::GetFontTexUvWhitePixel());
            ASSERT_GT(text.size(), 300u) << name;
            const std::string where =
                fmt::format("{} at {}x{}, {} times", name, size.width, size.height, size.monitor);
            const float slack = 1.6f * bench.scale(); // of neighbours in one word
            for (std::size_t i = 0; i < text.size(); ++i) {
                EXPECT_TRUE(text[i].left >= 0 && text[i].top >= 0 &&
                            text[i].right <= static_cast<float>(size.width) &&
                            text[i].bottom <= static_cast<float>(size.height))
                    << where << ": outside: " << place(text[i]);
                for (std::size_t j = i + 1; j < text.size(); ++j) {
                    const float across = std::min(text[i].right, text[j].right) -
                                         std::max(text[i].left, text[j].left);
                    const float down = std::min(text[i].bottom, text[j].bottom) -
                                       std::max(text[i].top, text[j].top);
                    ASSERT_FALSE(across > slack && down > slack)
                        << where << ": " << place(text[i]) << " and " << place(text[j]);
                }
            }
        }
    }
}

TEST(Panel, PutsTheViewsInsideTheCanvasAndApart) {
    for (const Size size : sizes) {
        Bench bench(size);
        for (const std::string& name : all_states()) {
            const Snapshot snapshot = state(name);
            bench.draw(snapshot);
            const auto views = bench.panel.views();
            ASSERT_EQ(views.size(), snapshot.paths.size());
            std::uint32_t end = 0;
            for (const ViewArea& view : views) {
                EXPECT_GE(view.x, end) << name;
                EXPECT_LE(view.x + view.width, size.width);
                EXPECT_LE(view.y + view.height, size.height);
                end = view.x + view.width;
                if (snapshot.state == DemoState::failed)
                    continue;
                EXPECT_GT(view.height, size.height / 8) << name;
                const double shape = static_cast<double>(view.width) / view.height;
                const double wanted =
                    static_cast<double>(snapshot.settings.width) / snapshot.settings.height;
                EXPECT_NEAR(shape / wanted, 1, 0.02) << name;
            }
        }
    }
}

TEST(Panel, GrowsWithTheCanvasAndShrinksToFitIt) {
    EXPECT_EQ(panel_scale(1280, 720, 1), 1);
    EXPECT_EQ(panel_scale(1440, 900, 1), 1);
    EXPECT_EQ(panel_scale(2880, 1800, 1), 2);
    EXPECT_EQ(panel_scale(2880, 1800, 2), 2);
    EXPECT_EQ(panel_scale(2560, 1440, 2), 2);
    EXPECT_LT(panel_scale(1920, 1080, 2), 2); // less than 1280x720 units
    EXPECT_EQ(panel_scale(640, 360, 1), 0.5f);
}

struct KeyEffect {
    const char* name;
    std::vector<Key> keys;
    std::function<void(DemoSettings&)> changes;
};

TEST(Panel, EachKeyChangesItsSetting) {
    const KeyEffect effects[] = {
        {"space", {U' '}, [](DemoSettings& s) { s.paused = true; }},
        {"1", {U'1'}, [](DemoSettings& s) { s.paths = {"staging"}; }},
        {"2", {U'2'}, [](DemoSettings& s) { s.paths = {"zero-copy"}; }},
        {"i", {U'i'}, [](DemoSettings& s) { s.interleaved = false; }},
        {"f", {U'f'}, [](DemoSettings& s) { s.width = 3840, s.height = 2160; }},
        {"f f", {U'f', U'f'}, [](DemoSettings& s) { s.width = 7680, s.height = 4320; }},
        {"f f f", {U'f', U'f', U'f'}, [](DemoSettings& s) { s.width = 1280, s.height = 720; }},
        {"c", {U'c'}, [](DemoSettings& s) { s.scene = "test-card"; }},
        {"v", {U'v'}, [](DemoSettings& s) { s.verify = "full"; }},
        {"v v", {U'v', U'v'}, [](DemoSettings& s) { s.verify = "off"; }},
        {"[", {U'['}, [](DemoSettings& s) { s.ring = 4; }},
        {"]", {U']'}, [](DemoSettings& s) { s.ring = 16; }},
        {"n", {U'n'}, [](DemoSettings& s) { s.nic_gbits_per_s = 100; }},
    };
    const Snapshot snapshot = state("running");
    Bench bench({1280, 720, 1});
    for (const KeyEffect& effect : effects) {
        DemoSettings expected = snapshot.settings;
        effect.changes(expected);
        const PanelActions actions = bench.draw(snapshot, effect.keys);
        ASSERT_TRUE(actions.settings) << effect.name;
        EXPECT_EQ(*actions.settings, expected) << effect.name;
    }
    EXPECT_FALSE(bench.draw(snapshot).settings);
    EXPECT_FALSE(bench.draw(snapshot, {U'x', U'9', key_escape}).settings);
    EXPECT_TRUE(bench.draw(snapshot, {U'r'}).restart);
    EXPECT_TRUE(bench.draw(snapshot, {U's'}).save_results);
    EXPECT_TRUE(bench.draw(snapshot, {key_f12}).screenshot);
    EXPECT_TRUE(bench.draw(snapshot, {U'q'}).quit);
}

TEST(Panel, AReceivingEndSetsNothing) {
    const Snapshot snapshot = state("receiving");
    Bench bench({1280, 720, 1});
    const PanelActions actions = bench.draw(
        snapshot, {U'1', U'2', U' ', U'i', U'f', U'c', U'v', U'n', U'[', U']', U'r', U's'});
    EXPECT_FALSE(actions.settings);
    EXPECT_FALSE(actions.restart);
    EXPECT_FALSE(actions.save_results);
    EXPECT_TRUE(bench.draw(snapshot, {key_f12}).screenshot);
    EXPECT_TRUE(bench.draw(snapshot, {U'q'}).quit);
}

TEST(Panel, KeysStayWithinWhatCanBe) {
    Snapshot snapshot = state("running");
    Bench bench({1280, 720, 1});
    snapshot.asked.ring = snapshot.choices.least_ring;
    EXPECT_FALSE(bench.draw(snapshot, {U'['}).settings);
    snapshot.asked.ring = snapshot.choices.most_ring;
    EXPECT_FALSE(bench.draw(snapshot, {U']'}).settings);
    snapshot.choices.nic_rate = false;
    EXPECT_FALSE(bench.draw(snapshot, {U'n'}).settings);
    EXPECT_FALSE(bench.draw(state("zero-copy-alone"), {U'1'}).settings) << "one path must stay";
    EXPECT_FALSE(bench.draw(state("no-gpu"), {U'c'}).settings) << "there is no other scene";
}

// Keys that come faster than changes take effect add up.
TEST(Panel, AChangeGoesOnFromWhatWasAskedForBefore) {
    Snapshot snapshot = state("running");
    Bench bench({1280, 720, 1});
    snapshot.asked = *bench.draw(snapshot, {U'v'}).settings;
    EXPECT_EQ(snapshot.settings.verify, "sampled");
    const PanelActions actions = bench.draw(snapshot, {U'v', U'c'});
    ASSERT_TRUE(actions.settings);
    EXPECT_EQ(actions.settings->verify, "off");
    EXPECT_EQ(actions.settings->scene, "test-card");
    EXPECT_FALSE(bench.draw(snapshot).settings);
}

TEST(Panel, HelpOpensAndCloses) {
    const Snapshot snapshot = state("running");
    Bench bench({1280, 720, 1});
    for (const Key key : {key_f1, Key{U'?'}, Key{U'h'}}) {
        bench.draw(snapshot, {key});
        EXPECT_EQ(bench.panel.overlay(), Overlay::help);
        EXPECT_GT(bench.data().CmdListsCount, 1);
        bench.draw(snapshot, {key});
        EXPECT_EQ(bench.panel.overlay(), Overlay::none);
    }
    bench.panel.open(Overlay::help);
    bench.draw(snapshot, {key_escape});
    EXPECT_EQ(bench.panel.overlay(), Overlay::none);
}

TEST(Panel, TheDoctorIsAskedEachTimeItsViewOpens) {
    const Snapshot snapshot = state("running");
    Bench bench({1280, 720, 1});
    for (int round = 0; round < 2; ++round) {
        EXPECT_TRUE(bench.draw(snapshot, {U'd'}).examine);
        EXPECT_EQ(bench.panel.overlay(), Overlay::doctor);
        EXPECT_FALSE(bench.draw(snapshot).examine);
        EXPECT_FALSE(bench.draw(snapshot, {U'd'}).examine);
        EXPECT_EQ(bench.panel.overlay(), Overlay::none);
    }
    for (const float x : {200.0f, 400.0f, 560.0f, 700.0f}) { // the chips
        EXPECT_TRUE(bench.click(snapshot, x, 24).examine) << x;
        EXPECT_EQ(bench.panel.overlay(), Overlay::doctor);
        bench.draw(snapshot, {key_escape});
        EXPECT_EQ(bench.panel.overlay(), Overlay::none);
    }
    bench.draw(snapshot, {U'd'});
    bench.draw(snapshot, {key_f1});
    EXPECT_EQ(bench.panel.overlay(), Overlay::help) << "one at a time";
}

TEST(Panel, NothingIsClickedThroughTheDoctorsView) {
    const Snapshot snapshot = state("running");
    Bench bench({1280, 720, 1});
    EXPECT_TRUE(bench.click(snapshot, 951, 542).settings) << "a scene";
    bench.draw(snapshot, {U'd'});
    EXPECT_FALSE(bench.click(snapshot, 951, 542).settings);
    EXPECT_TRUE(bench.draw(snapshot, {U'v'}).settings) << "keys go on working";
}

// The text of what lies over the panel.
std::vector<Glyph> overlay_text(const Bench& bench) {
    return glyphs(*bench.data().CmdLists[bench.data().CmdListsCount - 1],
                  ImGui::GetFontTexUvWhitePixel());
}

TEST(Panel, TheDoctorsViewIsScrolledAndNoFurtherThanItGoes) {
    const Snapshot snapshot = state("doctor");
    Bench bench({1280, 720, 1});
    bench.draw(snapshot, {U'd'});
    const auto top = [&] {
        bench.draw(snapshot);
        float sum = 0;
        for (const Glyph& glyph : overlay_text(bench))
            sum += glyph.top;
        return sum;
    };
    const float at_the_top = top();
    bench.draw(snapshot, {key_up, key_page_up});
    EXPECT_EQ(top(), at_the_top);
    bench.draw(snapshot, {key_down});
    EXPECT_NE(top(), at_the_top);
    bench.draw(snapshot, std::vector<Key>(50, key_page_down));
    const float at_the_end = top();
    bench.draw(snapshot, {key_down});
    EXPECT_EQ(top(), at_the_end);
    bench.draw(snapshot, {}, {.inside = true, .x = 640, .y = 400, .wheel_y = 1});
    EXPECT_NE(top(), at_the_end);
    bench.draw(snapshot, std::vector<Key>(50, key_up));
    EXPECT_EQ(top(), at_the_top);
    // Opened again it is at the top.
    bench.draw(snapshot, {key_page_down});
    bench.draw(snapshot, {U'd'});
    bench.draw(snapshot, {U'd'});
    EXPECT_EQ(top(), at_the_top);
}

TEST(Panel, TheDoctorsViewSaysWhatItKnows) {
    Bench bench({1280, 720, 1});
    Snapshot snapshot = state("running");
    const auto letters = [&] {
        bench.draw(snapshot);
        return overlay_text(bench).size();
    };
    bench.panel.open(Overlay::doctor);
    const std::size_t unknown = letters();
    snapshot.doctor = DoctorView{.looking = true};
    const std::size_t looking = letters();
    snapshot.doctor = DoctorView{.trouble = "no process can be started: EAGAIN (11: …)"};
    const std::size_t trouble = letters();
    snapshot.doctor = state("doctor").doctor;
    const std::size_t found = letters();
    EXPECT_EQ((std::set{unknown, looking, trouble, found}).size(), 4u);
    EXPECT_GT(found, 1000u);
}

TEST(Panel, NoTextOfTheDoctorsViewLiesOnAnother) {
    for (const Size size : sizes) {
        Bench bench(size);
        bench.panel.open(Overlay::doctor);
        bench.draw(state("doctor"));
        const std::vector<Glyph> text = overlay_text(bench);
        ASSERT_GT(text.size(), 500u);
        const float slack = 1.6f * bench.scale();
        for (std::size_t i = 0; i < text.size(); ++i)
            for (std::size_t j = i + 1; j < text.size(); ++j) {
                const float across =
                    std::min(text[i].right, text[j].right) - std::max(text[i].left, text[j].left);
                const float down =
                    std::min(text[i].bottom, text[j].bottom) - std::max(text[i].top, text[j].top);
                ASSERT_FALSE(across > slack && down > slack)
                    << size.width << "x" << size.height << ": " << place(text[i]) << " and "
                    << place(text[j]);
            }
    }
}

// Clicks all over the settings: every one of them can be reached, and nothing else is.
TEST(Panel, EachSettingCanBeClicked) {
    const Snapshot snapshot = state("running");
    Bench bench({1280, 720, 1});
    std::set<std::string> scenes, verifies, lists;
    std::set<std::uint32_t> heights, rings;
    std::set<double> rates;
    std::set<bool> interleaved, paused;
    bool restart = false, save = false, screenshot = false;
    for (float y = 420; y < 694; y += 9)
        for (float x = 790; x < 1260; x += 12) {
            const PanelActions actions = bench.click(snapshot, x, y);
            restart |= actions.restart;
            save |= actions.save_results;
            screenshot |= actions.screenshot;
            bench.panel.open(Overlay::none);
            if (!actions.settings)
                continue;
            const DemoSettings& settings = *actions.settings;
            scenes.insert(settings.scene);
            verifies.insert(settings.verify);
            lists.insert(fmt::format("{}", fmt::join(settings.paths, ",")));
            heights.insert(settings.height);
            rings.insert(settings.ring);
            rates.insert(settings.nic_gbits_per_s);
            interleaved.insert(settings.interleaved);
            paused.insert(settings.paused);
        }
    using Texts = std::set<std::string>;
    EXPECT_EQ(scenes, (Texts{"waves", "test-card", "noise", "none"}));
    EXPECT_EQ(verifies, (Texts{"off", "sampled", "full"}));
    EXPECT_EQ(lists, (Texts{"zero-copy,staging", "zero-copy", "staging"}));
    EXPECT_EQ(heights, (std::set<std::uint32_t>{720, 1080, 2160, 4320}));
    EXPECT_EQ(rates, (std::set<double>{0, 10, 25, 100}));
    EXPECT_EQ(interleaved.size(), 2u);
    EXPECT_EQ(paused.size(), 2u);
    EXPECT_GT(rings.size(), 8u);
    EXPECT_EQ(*rings.begin(), snapshot.choices.least_ring);
    EXPECT_EQ(*rings.rbegin(), snapshot.choices.most_ring);
    EXPECT_TRUE(restart && save && screenshot);
}

TEST(Panel, SaysWhyWhereThePointerRests) {
    Bench bench({1280, 720, 1});
    const Snapshot snapshot = state("running");
    bench.draw(snapshot);
    const int without = bench.data().TotalVtxCount;
    for (const float x : {200.0f, 400.0f, 560.0f, 700.0f, 1200.0f}) { // the chips, the exposure
        bench.draw(snapshot, {}, {.inside = true, .x = x, .y = 24});
        EXPECT_GT(bench.data().TotalVtxCount, without + 200) << x;
    }
}

TEST(Headline, SaysHowSureTheRatioIs) {
    Snapshot snapshot = state("running");
    EXPECT_EQ(headline(snapshot).ratio, "2.26×");
    EXPECT_THAT(headline(snapshot).sentence, HasSubstr("without the copy"));
    EXPECT_THAT(headline(snapshot).sure, HasSubstr("2.21× and 2.31×, 24 pairs"));
    EXPECT_THAT(headline(snapshot).sure, Not(HasSubstr("wide")));
    EXPECT_THAT(headline(snapshot).cpu, HasSubstr("3.10 ms instead of 162 ms"));
    EXPECT_THAT(headline(state("wide-interval")).sure, HasSubstr("still wide"));
    EXPECT_THAT(headline(state("no-difference")).sentence, HasSubstr("no difference"));
    EXPECT_EQ(headline(state("first-frames")).ratio, "");
    EXPECT_THAT(headline(state("first-frames")).sure, StartsWith("1 of 5"));
    EXPECT_EQ(headline(state("zero-copy-alone")).ratio, "");

    // Slower is said, too.
    snapshot.comparison->paths["zero-copy"] = {.ratio = 0.8, .low = 0.78, .high = 0.82, .pairs = 9};
    EXPECT_EQ(headline(snapshot).ratio, "0.80×");
    EXPECT_THAT(headline(snapshot).sentence, HasSubstr("slower"));
}

TEST(Headline, NamesWhatIsEmulated) {
    EXPECT_EQ(emulated_parts(state("running")), "heap, GPU and NIC");
    EXPECT_EQ(emulated_parts(state("real")), "");
    Snapshot one = state("real");
    one.parts[2].emulated = true;
    EXPECT_EQ(emulated_parts(one), "NIC");
}

TEST(Pen, WritesNumbersAsTheyAreRead) {
    EXPECT_EQ(grouped(0), "0");
    EXPECT_EQ(grouped(999), "999");
    EXPECT_EQ(grouped(48213), "48,213");
    EXPECT_EQ(grouped(1234567), "1,234,567");
    EXPECT_EQ(short_number(0.664), "0.66");
    EXPECT_EQ(short_number(0.0042), "0.004");
    EXPECT_EQ(short_number(0), "0.00");
    EXPECT_EQ(short_number(12.54), "12.5");
    EXPECT_EQ(short_number(9.999), "10.0");
    EXPECT_EQ(short_number(119.4), "119");
    EXPECT_EQ(short_number(1e9), "1,000,000,000");
    EXPECT_EQ(short_number(std::nan("")), "–");
}

} // namespace
} // namespace clearframe
