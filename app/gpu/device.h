// The Vulkan instance, and a device opened on it. For gpu/ and the display.
#pragma once

#include "gpu/vulkan.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace clearframe {

// Counts what the validation layers say. Thread-safe: layers call from any thread.
class ValidationLog {
public:
    void add(std::string_view message);
    std::uint64_t count() const noexcept { return count_.load(std::memory_order_relaxed); }
    std::string first() const;

private:
    std::atomic<std::uint64_t> count_{0};
    mutable std::mutex mutex_;
    std::string first_;
};

// The loader, an instance, and its devices: discrete, integrated, virtual, software.
class VulkanInstance {
public:
    // `extensions`: besides those of validation, for a surface to show pictures on. Throws Error:
    // unavailable, saying what is missing. No device is not an Error.
    explicit VulkanInstance(bool validation, std::span<const char* const> extensions = {});

    const vk::raii::Instance& handle() const noexcept { return instance_; }
    const std::vector<vk::raii::PhysicalDevice>& devices() const noexcept { return devices_; }
    const ValidationLog& validation() const noexcept { return log_; }

private:
    ValidationLog log_;
    vk::raii::Context context_;
    vk::raii::Instance instance_;
    vk::raii::DebugUtilsMessengerEXT messenger_{nullptr};
    std::vector<vk::raii::PhysicalDevice> devices_;
};

// A device opened with what this program needs of it. Immutable; its queue is used by one thread
// at a time.
class GpuDevice {
public:
    // With a surface, its queue can draw and present to it. Throws Error: unavailable, with the
    // reason.
    GpuDevice(std::shared_ptr<const VulkanInstance> instance, vk::raii::PhysicalDevice physical,
              vk::SurfaceKHR surface = {});

    const VulkanInstance& instance() const noexcept { return *instance_; }
    const vk::raii::PhysicalDevice& physical() const noexcept { return physical_; }
    const vk::raii::Device& device() const noexcept { return device_; }
    const vk::raii::Queue& queue() const noexcept { return queue_; }
    std::uint32_t queue_family() const noexcept { return queue_family_; }
    bool has_graphics() const noexcept { return has_graphics_; }
    // The queue family that stands for whoever else uses a slot's memory.
    std::uint32_t foreign_family() const noexcept { return foreign_family_; }
    bool has_extension(std::string_view name) const;

    std::string name() const;        // "llvmpipe (LLVM 15.0.6, 256 bits)"
    std::string driver_text() const; // "llvmpipe Mesa 25.0.7 (Vulkan 1.4.305)"
    vk::DriverId driver() const noexcept { return driver_.driverID; }
    bool is_software() const noexcept {
        return properties_.deviceType == vk::PhysicalDeviceType::eCpu;
    }
    const vk::PhysicalDeviceLimits& limits() const noexcept { return properties_.limits; }

    // The first of the memory types in `bits`, one with `preferred` if there is one.
    std::uint32_t memory_type(std::uint32_t bits, vk::MemoryPropertyFlags preferred) const;

private:
    void check_version() const;
    void choose_queue(vk::SurfaceKHR surface);
    void open(bool presents);

    std::shared_ptr<const VulkanInstance> instance_;
    vk::raii::PhysicalDevice physical_;
    vk::PhysicalDeviceProperties properties_;
    vk::PhysicalDeviceDriverProperties driver_;
    vk::PhysicalDeviceMemoryProperties memory_;
    std::vector<vk::ExtensionProperties> extensions_;
    std::uint32_t queue_family_ = 0;
    bool has_graphics_ = false;
    std::uint32_t foreign_family_ = VK_QUEUE_FAMILY_EXTERNAL;
    vk::raii::Device device_{nullptr};
    vk::raii::Queue queue_{nullptr};
};

// The name of a device that is not opened.
std::string device_name(const vk::raii::PhysicalDevice& physical);

} // namespace clearframe
