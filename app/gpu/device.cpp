#include "gpu/device.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace clearframe {
namespace {

constexpr const char* validation_layer = "VK_LAYER_KHRONOS_validation";

constexpr std::array wanted_extensions = {
    VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME,        VK_EXT_EXTERNAL_MEMORY_DMA_BUF_EXTENSION_NAME,
    VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME,      VK_EXT_QUEUE_FAMILY_FOREIGN_EXTENSION_NAME,
    VK_EXT_IMAGE_DRM_FORMAT_MODIFIER_EXTENSION_NAME,
};

VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT,
                                          VkDebugUtilsMessageTypeFlagsEXT,
                                          const VkDebugUtilsMessengerCallbackDataEXT* data,
                                          void* log) {
    static_cast<ValidationLog*>(log)->add(data->pMessage ? data->pMessage : "");
    return VK_FALSE;
}

vk::raii::Context open_loader() {
    try {
        return {};
    } catch (const std::exception&) {
        throw Error(Failure::unavailable, "the Vulkan loader, libvulkan.so.1, cannot be opened", {},
                    "On Debian: apt install libvulkan1 mesa-vulkan-drivers");
    }
}

vk::raii::Instance make_instance(const vk::raii::Context& context, bool validation,
                                 std::span<const char* const> wanted,
                                 vk::DebugUtilsMessengerCreateInfoEXT& messenger) {
    const vk::ApplicationInfo application("clearframe", 1, nullptr, 0, VK_API_VERSION_1_3);
    std::vector<const char*> layers;
    std::vector<const char*> extensions(wanted.begin(), wanted.end());
    const auto checks = vk::ValidationFeatureEnableEXT::eSynchronizationValidation;
    const vk::ValidationFeaturesEXT features(checks, {}, &messenger);
    if (validation) {
        layers = {validation_layer};
        extensions.insert(extensions.end(), {VK_EXT_DEBUG_UTILS_EXTENSION_NAME,
                                             VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME});
    }
    try {
        return {context, vk::InstanceCreateInfo({}, &application, layers, extensions,
                                                validation ? &features : nullptr)};
    } catch (const vk::LayerNotPresentError& error) {
        throw_vulkan(error, fmt::format("the Vulkan layer {} is not installed", validation_layer),
                     "On Debian: apt install vulkan-validationlayers, or do without validation",
                     Failure::unavailable);
    } catch (const vk::IncompatibleDriverError& error) {
        throw_vulkan(error, "no Vulkan driver is installed",
                     "On Debian: apt install mesa-vulkan-drivers", Failure::unavailable);
    } catch (const vk::SystemError& error) {
        throw_vulkan(error, "starting Vulkan", "vulkaninfo shows what is installed",
                     Failure::unavailable);
    }
}

int rank(vk::PhysicalDeviceType type) {
    switch (type) {
    case vk::PhysicalDeviceType::eDiscreteGpu:
        return 0;
    case vk::PhysicalDeviceType::eIntegratedGpu:
        return 1;
    case vk::PhysicalDeviceType::eVirtualGpu:
        return 2;
    case vk::PhysicalDeviceType::eCpu:
        return 3;
    default:
        return 4;
    }
}

} // namespace

void ValidationLog::add(std::string_view message) {
    const std::lock_guard lock(mutex_);
    if (count_.fetch_add(1, std::memory_order_relaxed) == 0)
        first_ = message;
}

std::string ValidationLog::first() const {
    const std::lock_guard lock(mutex_);
    return first_;
}

VulkanInstance::VulkanInstance(bool validation, std::span<const char* const> extensions)
    : context_(open_loader()), instance_(nullptr) {
    // In C's words: vulkan.hpp has changed those for the callback.
    const VkDebugUtilsMessengerCreateInfoEXT wanted{
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                           VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT |
                       VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT,
        .pfnUserCallback = on_message,
        .pUserData = &log_};
    vk::DebugUtilsMessengerCreateInfoEXT messenger(wanted);
    instance_ = make_instance(context_, validation, extensions, messenger);
    try {
        if (validation)
            messenger_ = instance_.createDebugUtilsMessengerEXT(messenger);
        for (vk::raii::PhysicalDevice& physical : vk::raii::PhysicalDevices(instance_))
            devices_.push_back(std::move(physical));
    } catch (const vk::InitializationFailedError&) {
        // What the loader says when no driver has a device.
    } catch (const vk::SystemError& error) {
        throw_vulkan(error, "listing Vulkan devices", "vulkaninfo shows what is installed",
                     Failure::unavailable);
    }
    std::stable_sort(devices_.begin(), devices_.end(), [](const auto& a, const auto& b) {
        return rank(a.getProperties().deviceType) < rank(b.getProperties().deviceType);
    });
}

std::string device_name(const vk::raii::PhysicalDevice& physical) {
    return physical.getProperties().deviceName.data();
}

GpuDevice::GpuDevice(std::shared_ptr<const VulkanInstance> instance,
                     vk::raii::PhysicalDevice physical, vk::SurfaceKHR surface)
    : instance_(std::move(instance)), physical_(std::move(physical)) {
    properties_ = physical_.getProperties();
    check_version();
    try {
        driver_ =
            physical_
                .getProperties2<vk::PhysicalDeviceProperties2, vk::PhysicalDeviceDriverProperties>()
                .get<vk::PhysicalDeviceDriverProperties>();
        memory_ = physical_.getMemoryProperties();
        extensions_ = physical_.enumerateDeviceExtensionProperties();
        choose_queue(surface);
        open(bool(surface));
    } catch (const vk::SystemError& error) {
        throw_vulkan(error, fmt::format("GPU {}: opening the device", name()),
                     "vulkaninfo shows what the driver offers", Failure::unavailable);
    }
}

void GpuDevice::check_version() const {
    const auto refuse = [this](std::string_view lack) {
        throw Error(Failure::unavailable, fmt::format("GPU {} {}", name(), lack), {},
                    "A newer driver may have it");
    };
    if (properties_.apiVersion < VK_API_VERSION_1_3)
        refuse(fmt::format("has Vulkan {}.{}, and 1.3 is needed",
                           VK_API_VERSION_MAJOR(properties_.apiVersion),
                           VK_API_VERSION_MINOR(properties_.apiVersion)));
    const auto chain =
        physical_.getFeatures2<vk::PhysicalDeviceFeatures2, vk::PhysicalDeviceVulkan13Features>();
    const auto& features = chain.get<vk::PhysicalDeviceVulkan13Features>();
    if (!features.synchronization2 || !features.dynamicRendering)
        refuse("lacks the features synchronization2 and dynamicRendering of Vulkan 1.3");
}

void GpuDevice::choose_queue(vk::SurfaceKHR surface) {
    if (surface && !has_extension(VK_KHR_SWAPCHAIN_EXTENSION_NAME))
        throw Error(Failure::unavailable,
                    fmt::format("GPU {} lacks {}", name(), VK_KHR_SWAPCHAIN_EXTENSION_NAME), {},
                    {});
    const auto families = physical_.getQueueFamilyProperties();
    for (const vk::QueueFlags wanted : {vk::QueueFlagBits::eGraphics | vk::QueueFlagBits::eCompute,
                                        vk::QueueFlags(vk::QueueFlagBits::eCompute)}) {
        for (std::uint32_t i = 0; i < families.size(); ++i) {
            if ((families[i].queueFlags & wanted) != wanted ||
                (surface && !physical_.getSurfaceSupportKHR(i, surface)))
                continue;
            queue_family_ = i;
            has_graphics_ = bool(wanted & vk::QueueFlagBits::eGraphics);
            return;
        }
    }
    throw Error(
        Failure::unavailable,
        fmt::format("GPU {} has no {}", name(),
                    surface ? "queue that can show pictures in the window" : "compute queue"),
        {}, {});
}

void GpuDevice::open(bool presents) {
    std::vector<const char*> enabled;
    if (presents)
        enabled.push_back(VK_KHR_SWAPCHAIN_EXTENSION_NAME);
    for (const char* extension : wanted_extensions)
        if (has_extension(extension))
            enabled.push_back(extension);
    if (has_extension(VK_EXT_QUEUE_FAMILY_FOREIGN_EXTENSION_NAME))
        foreign_family_ = VK_QUEUE_FAMILY_FOREIGN_EXT;

    vk::PhysicalDeviceVulkan13Features features;
    features.synchronization2 = true;
    features.dynamicRendering = true;
    features.maintenance4 = true; // what glslc makes of a work group's size
    const float priority = 1.0f;
    const vk::DeviceQueueCreateInfo queue({}, queue_family_, 1, &priority);
    device_ =
        physical_.createDevice(vk::DeviceCreateInfo({}, queue, {}, enabled, nullptr, &features));
    queue_ = device_.getQueue(queue_family_, 0);
}

bool GpuDevice::has_extension(std::string_view name) const {
    return std::any_of(extensions_.begin(), extensions_.end(), [&](const auto& extension) {
        return name == extension.extensionName.data();
    });
}

std::string GpuDevice::name() const { return properties_.deviceName.data(); }

std::string GpuDevice::driver_text() const {
    const std::uint32_t version = properties_.apiVersion;
    return fmt::format("{} {} (Vulkan {}.{}.{})", driver_.driverName.data(),
                       driver_.driverInfo.data(), VK_API_VERSION_MAJOR(version),
                       VK_API_VERSION_MINOR(version), VK_API_VERSION_PATCH(version));
}

std::uint32_t GpuDevice::memory_type(std::uint32_t bits, vk::MemoryPropertyFlags preferred) const {
    std::uint32_t found = memory_.memoryTypeCount;
    for (std::uint32_t i = 0; i < memory_.memoryTypeCount; ++i) {
        if (!(bits >> i & 1))
            continue;
        if ((memory_.memoryTypes[i].propertyFlags & preferred) == preferred)
            return i;
        found = std::min(found, i);
    }
    if (found == memory_.memoryTypeCount)
        throw Error(Failure::unavailable,
                    fmt::format("GPU {} has no memory type for frames", name()), {}, {});
    return found;
}

} // namespace clearframe
