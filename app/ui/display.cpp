#include "ui/display.h"

#include "ui/canvas.h"
#include "ui/imgui_adapter.h"
#include "ui/imgui_renderer.h"
#include "ui/swapchain.h"
#include "ui/window.h"

#include <fmt/format.h>

#include <time.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

namespace clearframe {
namespace {

constexpr const char* lost_advice = "The driver or the device failed, and dmesg may say why";

void sleep_until(Nanoseconds deadline) {
    const timespec until = timespec_of(deadline);
    // A signal ends it early: the caller looks at what it was.
    ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
}

// What frames have cost, the last second of it.
class CostMeter {
public:
    void add(Nanoseconds time, Nanoseconds panel, Nanoseconds draw) {
        samples_[next_++ % samples_.size()] = {time, panel, draw};
    }

    PanelCost read() const {
        if (next_ == 0)
            return {};
        const Nanoseconds newest = at(next_ - 1).time;
        const std::size_t kept = std::min(next_, samples_.size());
        Nanoseconds panel = 0;
        Nanoseconds draw = 0;
        Nanoseconds oldest = newest;
        double frames = 0;
        for (std::size_t i = next_; i > next_ - kept && newest - at(i - 1).time < one_second; --i) {
            panel += at(i - 1).panel;
            draw += at(i - 1).draw;
            oldest = at(i - 1).time;
            ++frames;
        }
        return {.frames_per_s =
                    newest > oldest ? (frames - 1) * 1e9 / static_cast<double>(newest - oldest) : 0,
                .panel_ms = static_cast<double>(panel) / frames / 1e6,
                .draw_ms = static_cast<double>(draw) / frames / 1e6};
    }

private:
    struct Sample {
        Nanoseconds time = 0, panel = 0, draw = 0;
    };
    const Sample& at(std::size_t i) const { return samples_[i % samples_.size()]; }

    std::array<Sample, 256> samples_{};
    std::size_t next_ = 0;
};

std::shared_ptr<const VulkanInstance> open_instance(const DisplayOptions& options,
                                                    const Window* window) {
    return std::make_shared<const VulkanInstance>(
        options.validation, window ? window->vulkan_extensions() : std::span<const char* const>());
}

// The device of that name if it can, else the best one that can. Throws Error: unavailable.
std::unique_ptr<const GpuDevice> open_device(const std::shared_ptr<const VulkanInstance>& instance,
                                             std::string_view name, vk::SurfaceKHR surface) {
    std::vector<const vk::raii::PhysicalDevice*> candidates;
    for (const vk::raii::PhysicalDevice& physical : instance->devices())
        candidates.push_back(&physical);
    std::stable_partition(candidates.begin(), candidates.end(),
                          [&](const auto* physical) { return device_name(*physical) == name; });
    std::string reasons;
    for (const auto* physical : candidates) {
        std::string reason;
        try {
            auto device = std::make_unique<const GpuDevice>(instance, *physical, surface);
            if (device->has_graphics())
                return device;
            reason = fmt::format("GPU {} has no graphics queue", device->name());
        } catch (const Error& error) {
            reason = error.what();
        }
        reasons += fmt::format("{}{}", reasons.empty() ? "" : "; ", reason);
    }
    throw Error(Failure::unavailable,
                surface ? "no GPU can draw the window" : "no GPU can draw the panel",
                reasons.empty() ? "no Vulkan driver has a device" : reasons,
                "On Debian: apt install mesa-vulkan-drivers draws on the CPU");
}

} // namespace

struct Display::Parts {
    // `opened`: null for none.
    Parts(const DisplayOptions& wanted, std::unique_ptr<Window> opened)
        : options(wanted),
          window(std::move(opened)),
          instance(open_instance(options, window.get())),
          surface(window ? window->make_surface(instance->handle())
                         : vk::raii::SurfaceKHR(nullptr)),
          device(open_device(instance, options.gpu, *surface)),
          views(*device) {
        try {
            canvas.emplace(*device);
            renderer.emplace(*device, Canvas::format);
            if (window)
                swapchain.emplace(*device, std::move(surface));
        } catch (const vk::SystemError& error) {
            throw_vulkan(error, fmt::format("GPU {}: preparing to draw the window", device->name()),
                         {}, Failure::unavailable);
        }
    }

    // Of the canvas to draw now, and its scale.
    vk::Extent2D size() const {
        if (!window)
            return {pixels(options.width), pixels(options.height)};
        const Window::Size now = window->size();
        if (now.width > 0 && now.height > 0)
            return {now.width, now.height};
        return canvas->image() ? canvas->size() : vk::Extent2D(options.width, options.height);
    }
    double wanted_scale() const {
        return window ? window->scale() : options.scale > 0 ? options.scale : 1;
    }
    std::uint32_t pixels(std::uint32_t units) const {
        return std::max(1u, static_cast<std::uint32_t>(std::lround(units * wanted_scale())));
    }

    void set_scale(float scale) {
        if (scale == imgui.theme().scale && fonts_loaded)
            return;
        renderer->set_fonts(imgui.load_fonts(scale));
        fonts_loaded = true;
    }

    Pointer take_pointer();
    PanelActions lay_out(Panel& panel, const Snapshot& snapshot, vk::Extent2D extent);
    void draw(const Panel& panel, const Snapshot& snapshot, vk::Extent2D extent);

    const DisplayOptions options;
    const std::unique_ptr<Window> window;
    const std::shared_ptr<const VulkanInstance> instance;
    vk::raii::SurfaceKHR surface; // until the swapchain has it
    const std::unique_ptr<const GpuDevice> device;
    FrameViews views;
    ImGuiAdapter imgui;
    std::optional<Canvas> canvas;
    std::optional<ImGuiRenderer> renderer;
    std::optional<Swapchain> swapchain;
    bool fonts_loaded = false;
    bool closed = false;
    std::optional<double> last_time_s;                // of the snapshot drawn before
    Nanoseconds next_frame = 0;                       // is due; 0: at once
    std::optional<std::pair<double, double>> pointer; // set_pointer()
    const ImDrawData* laid_out = nullptr;
    std::vector<PlacedPicture> pictures;
    Nanoseconds views_time = 0; // spent in views, before the last draw()
    CostMeter cost;
};

Pointer Display::Parts::take_pointer() {
    if (window)
        return window->take_pointer();
    if (!pointer)
        return {};
    return {.inside = true,
            .x = static_cast<float>(pointer->first * imgui.theme().scale),
            .y = static_cast<float>(pointer->second * imgui.theme().scale)};
}

PanelActions Display::Parts::lay_out(Panel& panel, const Snapshot& snapshot, vk::Extent2D extent) {
    const double step =
        snapshot.time_s - std::exchange(last_time_s, snapshot.time_s).value_or(snapshot.time_s);
    const std::vector<Key> keys = window ? window->take_keys() : std::vector<Key>();
    imgui.begin_frame(extent.width, extent.height, static_cast<float>(std::min(step, 1.0)),
                      take_pointer());
    PanelActions actions = panel.draw(snapshot, imgui.theme(), keys);
    laid_out = &imgui.end_frame();
    return actions;
}

void Display::Parts::draw(const Panel& panel, const Snapshot& snapshot, vk::Extent2D extent) {
    pictures.clear();
    for (std::size_t i = 0; i < panel.views().size(); ++i) {
        const ViewArea& area = panel.views()[i];
        views.resize(i, area.width, area.height);
        const FrameViews::Picture picture = views.picture(i);
        if (picture.image && i < snapshot.paths.size() && snapshot.paths[i].shown)
            pictures.push_back({picture, area});
    }
    if (swapchain)
        swapchain->finish();
    canvas->draw(extent, pictures, *renderer, *laid_out);
}

Display::Display(const DisplayOptions& options) {
    std::unique_ptr<Window> window;
    if (options.window)
        window = std::make_unique<Window>(options.width, options.height, options.scale);
    parts_ = std::make_unique<Parts>(options, std::move(window));
}
Display::~Display() = default;

FrameViews& Display::views() { return parts_->views; }

std::string Display::describe() const {
    return fmt::format("{} ({}), Dear ImGui {}; {}", parts_->device->name(),
                       parts_->device->driver_text(), ImGuiAdapter::version(),
                       parts_->window ? parts_->window->system() : "no window");
}

bool Display::next_frame() {
    const auto step = static_cast<Nanoseconds>(1e9 / parts_->options.frames_per_s);
    const Nanoseconds due = parts_->next_frame;
    if (parts_->window)
        parts_->window->handle_events(due);
    else if (due > now())
        sleep_until(due);
    parts_->next_frame = std::max(due, now() - step) + step; // what is late is not made up for
    return !parts_->closed && !(parts_->window && parts_->window->is_closing());
}

PanelActions Display::draw(Panel& panel, const Snapshot& snapshot) {
    Parts& parts = *parts_;
    const vk::Extent2D extent = parts.size();
    const Nanoseconds views_before = parts.views_time;
    PanelActions actions;
    try {
        parts.set_scale(
            panel_scale(extent.width, extent.height, static_cast<float>(parts.wanted_scale())));
        const Nanoseconds cpu = thread_cpu();
        actions = parts.lay_out(panel, snapshot, extent);
        const Nanoseconds panel_cpu = thread_cpu() - cpu;
        const Nanoseconds start = now();
        parts.draw(panel, snapshot, extent);
        const Nanoseconds end = now();
        parts.views_time = parts.views.time();
        parts.cost.add(end, panel_cpu, end - start + parts.views_time - views_before);
        if (parts.window) {
            parts.window->set_pointer_shape(parts.imgui.pointer_shape());
            parts.closed = !parts.swapchain->show(parts.canvas->image(), extent);
        }
        return actions;
    } catch (const vk::SystemError& error) {
        // Drivers have several results for a window that is no more, among them
        // VK_ERROR_OUT_OF_DEVICE_MEMORY: the window system says whether it is so.
        if (parts.window && parts.window->is_gone()) {
            parts.closed = true;
            return actions;
        }
        throw_vulkan(error, fmt::format("GPU {}: drawing the window", parts.device->name()),
                     lost_advice);
    }
}

PanelCost Display::cost() const { return parts_->cost.read(); }

Picture Display::read() const {
    try {
        return parts_->canvas->read();
    } catch (const vk::SystemError& error) {
        throw_vulkan(error, fmt::format("GPU {}: reading the picture", parts_->device->name()),
                     lost_advice);
    }
}

void Display::set_pointer(double x, double y) { parts_->pointer = {x, y}; }

std::uint64_t Display::validation_messages() const {
    return parts_->instance->validation().count();
}

std::string Display::first_validation_message() const {
    return parts_->instance->validation().first();
}

} // namespace clearframe
