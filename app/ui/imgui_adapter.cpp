#include "ui/imgui_adapter.h"

#include <imgui.h>

#include <algorithm>
#include <cfloat>

namespace clearframe {
namespace {

// Dear ImGui wants time to pass.
constexpr float least_step_s = 1e-4f;

// Input events are new in 1.87, and the fields they replace go away.
void feed(ImGuiIO& io, const Pointer& pointer) {
    const float x = pointer.inside ? pointer.x : -FLT_MAX;
    const float y = pointer.inside ? pointer.y : -FLT_MAX;
#if IMGUI_VERSION_NUM >= 18700
    io.AddMousePosEvent(x, y);
    for (int i = 0; i < static_cast<int>(pointer.down.size()); ++i)
        io.AddMouseButtonEvent(i, pointer.down[static_cast<std::size_t>(i)]);
    io.AddMouseWheelEvent(pointer.wheel_x, pointer.wheel_y);
#else
    io.MousePos = ImVec2(x, y);
    std::copy(pointer.down.begin(), pointer.down.end(), io.MouseDown);
    io.MouseWheelH = pointer.wheel_x;
    io.MouseWheel = pointer.wheel_y;
#endif
}

ImGuiContext* make_context() {
    // A context made while another is current shares nothing with it, but does not become current.
    IMGUI_CHECKVERSION();
    ImGuiContext* const context = ImGui::CreateContext();
    ImGui::SetCurrentContext(context);
    return context;
}

} // namespace

void ImGuiAdapter::Destroy::operator()(ImGuiContext* context) const {
    ImGui::DestroyContext(context);
}

ImGuiAdapter::ImGuiAdapter() : context_(make_context()) {
    ImGuiIO& io = ImGui::GetIO();
    io.IniFilename = nullptr;
    io.LogFilename = nullptr;
    io.BackendFlags |= ImGuiBackendFlags_RendererHasVtxOffset | ImGuiBackendFlags_HasMouseCursors;
#if IMGUI_VERSION_NUM >= 18700
    // A frame sees all that has happened before it, as in 1.86.
    io.ConfigInputTrickleEventQueue = false;
#endif
}

ImGuiAdapter::~ImGuiAdapter() = default;

FontAtlas ImGuiAdapter::load_fonts(float scale) {
    ImGui::SetCurrentContext(context_.get());
    ImGuiIO& io = ImGui::GetIO();
    // From 1.92 on a renderer may make glyphs as they are asked for; this one does not say that it
    // does, and is given them all at once as it was before.
    io.Fonts->Clear();
    theme_ = load_theme(*io.Fonts, scale);
    io.FontDefault = theme_.text.font;
#if IMGUI_VERSION_NUM >= 19200
    ImGui::GetStyle().FontSizeBase = 0; // that of the default font, as it was before
#endif
    unsigned char* pixels = nullptr;
    int width = 0;
    int height = 0;
    io.Fonts->GetTexDataAsAlpha8(&pixels, &width, &height);
    const auto bytes = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
    return {.coverage = std::as_bytes(std::span(pixels, bytes)),
            .width = static_cast<std::uint32_t>(width),
            .height = static_cast<std::uint32_t>(height)};
}

void ImGuiAdapter::begin_frame(std::uint32_t width, std::uint32_t height, float seconds,
                               const Pointer& pointer) {
    ImGui::SetCurrentContext(context_.get());
    ImGuiIO& io = ImGui::GetIO();
    io.DisplaySize = ImVec2(static_cast<float>(width), static_cast<float>(height));
    io.DeltaTime = std::max(seconds, least_step_s);
    feed(io, pointer);
    ImGui::NewFrame();
}

const ImDrawData& ImGuiAdapter::end_frame() {
    ImGui::SetCurrentContext(context_.get());
    ImGui::Render();
    return *ImGui::GetDrawData();
}

PointerShape ImGuiAdapter::pointer_shape() const {
    ImGui::SetCurrentContext(context_.get());
    switch (ImGui::GetMouseCursor()) {
    case ImGuiMouseCursor_Hand:
        return PointerShape::hand;
    case ImGuiMouseCursor_TextInput:
        return PointerShape::text;
    default:
        return PointerShape::arrow;
    }
}

const char* ImGuiAdapter::version() { return ImGui::GetVersion(); }

} // namespace clearframe
