// Dear ImGui behind its adapter, and what is drawn of it on a canvas.
#include "ui/canvas.h"
#include "ui/imgui_adapter.h"

#include <gtest/gtest.h>
#include <imgui.h>

#include <dlfcn.h>

#include <filesystem>

namespace clearframe {
namespace {

constexpr std::uint32_t background = 0xff17110d; // RGBA8, as a little-endian number

std::uint32_t pixel(const Picture& picture, std::uint32_t x, std::uint32_t y) {
    std::uint32_t value = 0;
    std::memcpy(&value, &picture.rgba[4 * (std::size_t{y} * picture.width + x)], sizeof value);
    return value;
}

class CanvasTest : public testing::Test {
protected:
    void SetUp() override {
        ::dlopen("libVkLayer_khronos_validation.so", RTLD_LAZY | RTLD_NODELETE);
        instance_ = std::make_shared<const VulkanInstance>(true);
        if (instance_->devices().empty())
            GTEST_SKIP() << "no Vulkan driver has a device";
        device_ = std::make_unique<GpuDevice>(instance_, instance_->devices().front());
        renderer_ = std::make_unique<ImGuiRenderer>(*device_, Canvas::format);
        canvas_ = std::make_unique<Canvas>(*device_);
        renderer_->set_fonts(imgui_.load_fonts(1));
    }
    void TearDown() override {
        canvas_.reset();
        renderer_.reset();
        device_.reset();
        if (instance_) {
            EXPECT_EQ(instance_->validation().count(), 0u) << instance_->validation().first();
        }
    }

    // Draws one frame of what `lay_out` puts on the background draw list.
    Picture draw(vk::Extent2D size, auto&& lay_out,
                 const std::vector<PlacedPicture>& pictures = {}) {
        imgui_.begin_frame(size.width, size.height, 0, {});
        lay_out(*ImGui::GetBackgroundDrawList());
        canvas_->draw(size, pictures, *renderer_, imgui_.end_frame());
        return canvas_->read();
    }

    std::shared_ptr<const VulkanInstance> instance_;
    std::unique_ptr<GpuDevice> device_;
    ImGuiAdapter imgui_;
    std::unique_ptr<ImGuiRenderer> renderer_;
    std::unique_ptr<Canvas> canvas_;
};

TEST_F(CanvasTest, NothingIsTheBackground) {
    const Picture picture = draw({33, 17}, [](ImDrawList&) {});
    EXPECT_EQ(picture.width, 33u);
    EXPECT_EQ(picture.height, 17u);
    ASSERT_EQ(picture.rgba.size(), 4u * 33 * 17);
    for (std::uint32_t y = 0; y < 17; ++y)
        for (std::uint32_t x = 0; x < 33; ++x)
            ASSERT_EQ(pixel(picture, x, y), background);
}

TEST_F(CanvasTest, ColoursAndEdges) {
    const Picture picture = draw({64, 64}, [](ImDrawList& list) {
        list.AddRectFilled(ImVec2(8, 8), ImVec2(16, 24), IM_COL32(200, 100, 50, 255));
        list.AddRectFilled(ImVec2(32, 8), ImVec2(48, 24), IM_COL32(255, 255, 255, 128));
        list.PushClipRect(ImVec2(40, 40), ImVec2(50, 50));
        list.AddRectFilled(ImVec2(0, 0), ImVec2(64, 64), IM_COL32(0, 255, 0, 255));
        list.PopClipRect();
    });
    EXPECT_EQ(pixel(picture, 8, 8), 0xff3264c8);
    EXPECT_EQ(pixel(picture, 15, 23), 0xff3264c8);
    EXPECT_EQ(pixel(picture, 7, 8), background);
    EXPECT_EQ(pixel(picture, 16, 23), background);
    EXPECT_EQ(pixel(picture, 40, 10), 0xff8b8886) << "half white over the background, opaque";
    EXPECT_EQ(pixel(picture, 40, 40), 0xff00ff00);
    EXPECT_EQ(pixel(picture, 49, 49), 0xff00ff00);
    EXPECT_EQ(pixel(picture, 39, 45), background);
    EXPECT_EQ(pixel(picture, 50, 45), background);
}

TEST_F(CanvasTest, TextIsThere) {
    const Picture picture = draw({200, 40}, [](ImDrawList& list) {
        list.AddText(ImVec2(5, 5), IM_COL32_WHITE, "clearframe");
    });
    std::size_t lit = 0;
    for (std::uint32_t y = 0; y < 40; ++y)
        for (std::uint32_t x = 0; x < 200; ++x)
            lit += pixel(picture, x, y) != background;
    EXPECT_GT(lit, 100u);
    EXPECT_LT(lit, 2000u);
}

TEST_F(CanvasTest, MoreVerticesThanAnIndexCounts) {
    // 17,000 rectangles of 4 vertices: the list goes on with another vertex offset.
    const Picture picture = draw({200, 100}, [](ImDrawList& list) {
        for (int i = 0; i < 17'000; ++i) {
            const ImVec2 at(static_cast<float>(i % 200), static_cast<float>(i / 200));
            list.AddRectFilled(at, ImVec2(at.x + 1, at.y + 1), IM_COL32(0, 0, 255, 255));
        }
    });
    EXPECT_EQ(pixel(picture, 0, 0), 0xffff0000);
    EXPECT_EQ(pixel(picture, 199, 84), 0xffff0000) << "the last of them";
    EXPECT_EQ(pixel(picture, 0, 85), background);
}

TEST_F(CanvasTest, PicturesGoWhereThePanelHasRoom) {
    const DeviceImage image(*device_, frame_format, {2, 1},
                            vk::ImageUsageFlagBits::eTransferSrc |
                                vk::ImageUsageFlagBits::eTransferDst);
    Commands clear(*device_);
    const vk::raii::CommandBuffer& commands = clear.begin();
    change_use(commands, *image.image, unused, copied_to);
    commands.clearColorImage(*image.image, copied_to.layout,
                             vk::ClearColorValue(std::array{1.0f, 0.0f, 0.0f, 1.0f}), whole_image);
    change_use(commands, *image.image, copied_to, copied_from);
    clear.submit();
    clear.finish();

    const FrameViews::Picture red{*image.image, 2, 1};
    const auto nothing = [](ImDrawList&) {};
    const Picture picture =
        draw({40, 30}, nothing,
             {{red, {.x = 3, .y = 4, .width = 2, .height = 1}},       // as it is
              {red, {.x = 10, .y = 10, .width = 8, .height = 8}},     // scaled
              {red, {.x = 38, .y = 28, .width = 10, .height = 10}},   // over the edge
              {red, {.x = 100, .y = 100, .width = 10, .height = 10}}, // beyond it
              {red, {.x = 20, .y = 20, .width = 0, .height = 0}}});   // nowhere
    std::size_t count = 0;
    for (std::uint32_t y = 0; y < 30; ++y)
        for (std::uint32_t x = 0; x < 40; ++x)
            count += pixel(picture, x, y) == 0xff0000ff;
    EXPECT_EQ(count, 2u + 64u + 4u);
    EXPECT_EQ(pixel(picture, 3, 4), 0xff0000ff);
    EXPECT_EQ(pixel(picture, 17, 17), 0xff0000ff);
    EXPECT_EQ(pixel(picture, 39, 29), 0xff0000ff);
}

TEST_F(CanvasTest, FontsOfEveryScale) {
    std::size_t before = 0;
    for (const float scale : {0.5f, 1.0f, 1.5f, 2.0f}) {
        renderer_->set_fonts(imgui_.load_fonts(scale));
        EXPECT_EQ(imgui_.theme().scale, scale);
        const Picture picture = draw({300, 60}, [](ImDrawList& list) {
            list.AddText(ImVec2(5, 5), IM_COL32_WHITE, "HHHHHH");
        });
        std::size_t lit = 0;
        for (std::uint32_t y = 0; y < 60; ++y)
            for (std::uint32_t x = 0; x < 300; ++x)
                lit += pixel(picture, x, y) != background;
        EXPECT_GT(lit, before);
        before = lit;
    }
}

TEST(ImGuiAdapterTest, TheButtonIsPressedWhereThePointerIs) {
    ImGuiAdapter imgui;
    imgui.load_fonts(1);
    const auto frame = [&](const Pointer& pointer) {
        imgui.begin_frame(200, 100, 0.02f, pointer);
        ImGui::SetNextWindowPos(ImVec2(0, 0));
        ImGui::SetNextWindowSize(ImVec2(200, 100));
        ImGui::Begin("test", nullptr, ImGuiWindowFlags_NoDecoration);
        ImGui::SetCursorPos(ImVec2(50, 20));
        const bool pressed = ImGui::Button("press", ImVec2(60, 30));
        if (ImGui::IsItemHovered())
            ImGui::SetMouseCursor(ImGuiMouseCursor_Hand);
        ImGui::End();
        imgui.end_frame();
        return pressed;
    };
    frame({});
    frame({});
    EXPECT_EQ(imgui.pointer_shape(), PointerShape::arrow);
    frame({.inside = true, .x = 70, .y = 30});
    frame({.inside = true, .x = 70, .y = 30});
    EXPECT_EQ(imgui.pointer_shape(), PointerShape::hand);
    EXPECT_FALSE(frame({.inside = true, .x = 70, .y = 30, .down = {true}}));
    EXPECT_TRUE(frame({.inside = true, .x = 70, .y = 30})) << "on release";
    EXPECT_FALSE(frame({.inside = true, .x = 70, .y = 30}));
    frame({});
    EXPECT_EQ(imgui.pointer_shape(), PointerShape::arrow);
}

TEST(ImGuiAdapterTest, TheWheelTurns) {
    ImGuiAdapter imgui;
    imgui.load_fonts(1);
    imgui.begin_frame(200, 100, 0.02f, {.inside = true, .wheel_x = 1, .wheel_y = -2});
    EXPECT_EQ(ImGui::GetIO().MouseWheelH, 1);
    EXPECT_EQ(ImGui::GetIO().MouseWheel, -2);
    imgui.end_frame();
    imgui.begin_frame(200, 100, 0.02f, {.inside = true});
    EXPECT_EQ(ImGui::GetIO().MouseWheel, 0);
    imgui.end_frame();
}

TEST(ImGuiAdapterTest, TimeIsWhatItIsGiven) {
    ImGuiAdapter imgui;
    imgui.load_fonts(1);
    for (const float step : {0.25f, 0.0f, -1.0f}) {
        imgui.begin_frame(10, 10, step, {});
        EXPECT_GT(ImGui::GetIO().DeltaTime, 0);
        if (step > 0) {
            EXPECT_EQ(ImGui::GetIO().DeltaTime, step);
        }
        imgui.end_frame();
    }
}

TEST(ImGuiAdapterTest, SeveralTakeTurns) {
    ImGuiAdapter one;
    ImGuiAdapter other;
    one.load_fonts(1);
    other.load_fonts(2);
    for (int i = 0; i < 3; ++i) {
        one.begin_frame(100, 50, 0.1f, {});
        EXPECT_EQ(ImGui::GetIO().DisplaySize.x, 100);
        one.end_frame();
        other.begin_frame(300, 50, 0.1f, {});
        EXPECT_EQ(ImGui::GetIO().DisplaySize.x, 300);
        other.end_frame();
    }
}

TEST(ImGuiAdapterTest, KeepsNoFiles) {
    ImGuiAdapter imgui;
    EXPECT_EQ(ImGui::GetIO().IniFilename, nullptr);
    EXPECT_EQ(ImGui::GetIO().LogFilename, nullptr);
}

} // namespace
} // namespace clearframe
