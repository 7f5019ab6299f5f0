// A Vulkan layer that plays a lesser device: CLEARFRAME_HIDE="EXTENSION,…" hides device
// extensions, CLEARFRAME_VK_FAIL="vkQueueSubmit2:5:VK_ERROR_DEVICE_LOST" (plan.h) makes commands
// give a result without being carried out. CLEARFRAME_VK_COUNT=FILE tells at the end how many
// calls there were.

#include "plan.h"

#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace {

using namespace clearframe;

// All return a VkResult.
#define COMMANDS(X)                                                                                \
    X(vkCreateInstance)                                                                            \
    X(vkCreateDevice)                                                                              \
    X(vkGetPhysicalDeviceImageFormatProperties2)                                                   \
    X(vkAllocateMemory)                                                                            \
    X(vkMapMemory)                                                                                 \
    X(vkBindBufferMemory)                                                                          \
    X(vkBindBufferMemory2)                                                                         \
    X(vkBindImageMemory)                                                                           \
    X(vkBindImageMemory2)                                                                          \
    X(vkGetMemoryFdPropertiesKHR)                                                                  \
    X(vkGetMemoryHostPointerPropertiesEXT)                                                         \
    X(vkCreateBuffer)                                                                              \
    X(vkCreateImage)                                                                               \
    X(vkCreateImageView)                                                                           \
    X(vkCreateShaderModule)                                                                        \
    X(vkCreatePipelineLayout)                                                                      \
    X(vkCreateGraphicsPipelines)                                                                   \
    X(vkCreateComputePipelines)                                                                    \
    X(vkCreateDescriptorSetLayout)                                                                 \
    X(vkCreateDescriptorPool)                                                                      \
    X(vkAllocateDescriptorSets)                                                                    \
    X(vkCreateCommandPool)                                                                         \
    X(vkAllocateCommandBuffers)                                                                    \
    X(vkBeginCommandBuffer)                                                                        \
    X(vkEndCommandBuffer)                                                                          \
    X(vkCreateFence)                                                                               \
    X(vkCreateSemaphore)                                                                           \
    X(vkCreateSampler)                                                                             \
    X(vkResetCommandPool)                                                                          \
    X(vkGetPhysicalDeviceSurfaceCapabilitiesKHR)                                                   \
    X(vkGetPhysicalDeviceSurfaceFormatsKHR)                                                        \
    X(vkGetPhysicalDeviceSurfacePresentModesKHR)                                                   \
    X(vkGetPhysicalDeviceSurfaceSupportKHR)                                                        \
    X(vkCreateSwapchainKHR)                                                                        \
    X(vkGetSwapchainImagesKHR)                                                                     \
    X(vkAcquireNextImageKHR)                                                                       \
    X(vkQueuePresentKHR)                                                                           \
    X(vkResetFences)                                                                               \
    X(vkGetFenceStatus)                                                                            \
    X(vkWaitForFences)                                                                             \
    X(vkWaitSemaphores)                                                                            \
    X(vkQueueSubmit)                                                                               \
    X(vkQueueSubmit2)                                                                              \
    X(vkQueueWaitIdle)                                                                             \
    X(vkDeviceWaitIdle)

#define ENUMERATOR(name) name##_command,
#define NAME(name) std::string_view(#name),
enum Command : std::size_t { COMMANDS(ENUMERATOR) commands_count };

constexpr std::array<std::string_view, commands_count> names{COMMANDS(NAME)};
constinit faults::Plan<commands_count> plan{names};

std::optional<int> result_of(std::string_view name) {
    static constexpr std::pair<std::string_view, VkResult> known[]{
        {"VK_NOT_READY", VK_NOT_READY},
        {"VK_TIMEOUT", VK_TIMEOUT},
        {"VK_INCOMPLETE", VK_INCOMPLETE},
        {"VK_SUBOPTIMAL_KHR", VK_SUBOPTIMAL_KHR},
        {"VK_ERROR_OUT_OF_DATE_KHR", VK_ERROR_OUT_OF_DATE_KHR},
        {"VK_ERROR_SURFACE_LOST_KHR", VK_ERROR_SURFACE_LOST_KHR},
        {"VK_ERROR_OUT_OF_HOST_MEMORY", VK_ERROR_OUT_OF_HOST_MEMORY},
        {"VK_ERROR_OUT_OF_DEVICE_MEMORY", VK_ERROR_OUT_OF_DEVICE_MEMORY},
        {"VK_ERROR_INITIALIZATION_FAILED", VK_ERROR_INITIALIZATION_FAILED},
        {"VK_ERROR_DEVICE_LOST", VK_ERROR_DEVICE_LOST},
        {"VK_ERROR_MEMORY_MAP_FAILED", VK_ERROR_MEMORY_MAP_FAILED},
        {"VK_ERROR_FEATURE_NOT_PRESENT", VK_ERROR_FEATURE_NOT_PRESENT},
        {"VK_ERROR_INCOMPATIBLE_DRIVER", VK_ERROR_INCOMPATIBLE_DRIVER},
        {"VK_ERROR_TOO_MANY_OBJECTS", VK_ERROR_TOO_MANY_OBJECTS},
        {"VK_ERROR_FORMAT_NOT_SUPPORTED", VK_ERROR_FORMAT_NOT_SUPPORTED},
        {"VK_ERROR_INVALID_EXTERNAL_HANDLE", VK_ERROR_INVALID_EXTERNAL_HANDLE},
    };
    for (const auto& [text, result] : known)
        if (text == name)
            return result;
    return std::nullopt;
}

[[gnu::constructor]] void start() { plan.read("CLEARFRAME_VK_FAIL", result_of); }
[[gnu::destructor]] void end() { plan.report("CLEARFRAME_VK_COUNT"); }

std::optional<VkResult> fault(Command command) {
    const auto value = plan.next(command);
    return value ? std::optional(static_cast<VkResult>(*value)) : std::nullopt;
}

bool is_hidden(std::string_view extension) {
    const char* text = std::getenv("CLEARFRAME_HIDE");
    const std::string list = std::string(",") + (text ? text : "") + ",";
    return list.find("," + std::string(extension) + ",") != list.npos;
}

// What lies below this layer, of one instance or device: a way to find functions, and those that
// this layer calls, found at once: later the loader would answer with the first layer's.
struct Below {
    VkInstance instance = VK_NULL_HANDLE;
    std::function<PFN_vkVoidFunction(const char*)> find;
    std::map<std::string_view, PFN_vkVoidFunction> found;
};

// Its objects all share the key that the loader has put in front of them.
void* key_of(const void* object) { return *static_cast<void* const*>(object); }

class Belows {
public:
    void add(const void* object, Below below);
    void remove(const void* object) {
        const std::lock_guard lock(mutex_);
        map_.erase(key_of(object));
    }
    // References stay valid until their object is removed.
    const Below& of(const void* object) {
        const std::lock_guard lock(mutex_);
        return map_.at(key_of(object));
    }

private:
    std::mutex mutex_;
    std::map<void*, Below> map_;
};
Belows belows;

// The command of this name below `object`.
template <typename Function>
Function below(const void* object, std::string_view name) {
    return reinterpret_cast<Function>(belows.of(object).found.at(name));
}

template <Command command, typename Function>
struct Faulty;
template <Command command, typename Object, typename... Rest>
struct Faulty<command, VkResult(VKAPI_PTR*)(Object, Rest...)> {
    static VKAPI_ATTR VkResult VKAPI_CALL call(Object object, Rest... rest) {
        if (const auto result = fault(command))
            return *result;
        return below<VkResult(VKAPI_PTR*)(Object, Rest...)>(object, names[command])(object,
                                                                                    rest...);
    }
};

// The loader's link to the layer below, taken out of the chain for the one after.
template <typename Info>
auto* take_link(const void* chain, VkStructureType type) {
    auto* info = static_cast<Info*>(const_cast<void*>(chain));
    while (info && !(info->sType == type && info->function == VK_LAYER_LINK_INFO))
        info = static_cast<Info*>(const_cast<void*>(info->pNext));
    auto* link = info->u.pLayerInfo;
    info->u.pLayerInfo = link->pNext;
    return link;
}

VKAPI_ATTR VkResult VKAPI_CALL create_instance(const VkInstanceCreateInfo* info,
                                               const VkAllocationCallbacks* allocator,
                                               VkInstance* instance) {
    const auto* link = take_link<VkLayerInstanceCreateInfo>(
        info->pNext, VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO);
    if (const auto result = fault(vkCreateInstance_command))
        return *result;
    const auto next = link->pfnNextGetInstanceProcAddr;
    const auto create =
        reinterpret_cast<PFN_vkCreateInstance>(next(VK_NULL_HANDLE, "vkCreateInstance"));
    const VkResult result = create(info, allocator, instance);
    if (result == VK_SUCCESS)
        belows.add(*instance,
                   {.instance = *instance,
                    .find = [=, at = *instance](const char* name) { return next(at, name); },
                    .found = {}});
    return result;
}

VKAPI_ATTR void VKAPI_CALL destroy_instance(VkInstance instance,
                                            const VkAllocationCallbacks* allocator) {
    if (instance == VK_NULL_HANDLE)
        return;
    const auto destroy = below<PFN_vkDestroyInstance>(instance, "vkDestroyInstance");
    belows.remove(instance);
    destroy(instance, allocator);
}

VKAPI_ATTR VkResult VKAPI_CALL create_device(VkPhysicalDevice physical,
                                             const VkDeviceCreateInfo* info,
                                             const VkAllocationCallbacks* allocator,
                                             VkDevice* device) {
    const auto* link = take_link<VkLayerDeviceCreateInfo>(
        info->pNext, VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO);
    if (const auto result = fault(vkCreateDevice_command))
        return *result;
    for (std::uint32_t i = 0; i < info->enabledExtensionCount; ++i)
        if (is_hidden(info->ppEnabledExtensionNames[i]))
            return VK_ERROR_EXTENSION_NOT_PRESENT;
    const auto next = link->pfnNextGetDeviceProcAddr;
    const VkInstance instance = belows.of(physical).instance;
    const auto create = reinterpret_cast<PFN_vkCreateDevice>(
        link->pfnNextGetInstanceProcAddr(instance, "vkCreateDevice"));
    const VkResult result = create(physical, info, allocator, device);
    if (result == VK_SUCCESS)
        belows.add(*device, {.instance = instance,
                             .find = [=, at = *device](const char* name) { return next(at, name); },
                             .found = {}});
    return result;
}

VKAPI_ATTR void VKAPI_CALL destroy_device(VkDevice device, const VkAllocationCallbacks* allocator) {
    if (device == VK_NULL_HANDLE)
        return;
    const auto destroy = below<PFN_vkDestroyDevice>(device, "vkDestroyDevice");
    belows.remove(device);
    destroy(device, allocator);
}

VKAPI_ATTR VkResult VKAPI_CALL enumerate_device_extensions(VkPhysicalDevice physical,
                                                           const char* layer, std::uint32_t* count,
                                                           VkExtensionProperties* properties) {
    if (layer && std::strcmp(layer, CLEARFRAME_LAYER_NAME) == 0) {
        *count = 0;
        return VK_SUCCESS;
    }
    const auto enumerate = below<PFN_vkEnumerateDeviceExtensionProperties>(
        physical, "vkEnumerateDeviceExtensionProperties");
    std::uint32_t all_count = 0;
    VkResult result = enumerate(physical, layer, &all_count, nullptr);
    std::vector<VkExtensionProperties> all(all_count);
    if (result == VK_SUCCESS)
        result = enumerate(physical, layer, &all_count, all.data());
    if (result != VK_SUCCESS)
        return result;
    std::erase_if(all, [](const auto& extension) { return is_hidden(extension.extensionName); });
    if (!properties) {
        *count = static_cast<std::uint32_t>(all.size());
        return VK_SUCCESS;
    }
    const bool all_fit = *count >= all.size();
    *count = std::min(*count, static_cast<std::uint32_t>(all.size()));
    std::copy_n(all.begin(), *count, properties);
    return all_fit ? VK_SUCCESS : VK_INCOMPLETE;
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_instance_function(VkInstance, const char*);
VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_device_function(VkDevice, const char*);

template <typename Function>
PFN_vkVoidFunction as_void(Function* function) {
    return reinterpret_cast<PFN_vkVoidFunction>(function);
}

// This layer's own functions.
const std::map<std::string_view, PFN_vkVoidFunction>& own_functions() {
    static const std::map<std::string_view, PFN_vkVoidFunction> own = [] {
        std::map<std::string_view, PFN_vkVoidFunction> map;
#define ADD(name) map[#name] = as_void(Faulty<name##_command, PFN_##name>::call);
        COMMANDS(ADD)
        map["vkCreateInstance"] = as_void(create_instance);
        map["vkDestroyInstance"] = as_void(destroy_instance);
        map["vkCreateDevice"] = as_void(create_device);
        map["vkDestroyDevice"] = as_void(destroy_device);
        map["vkEnumerateDeviceExtensionProperties"] = as_void(enumerate_device_extensions);
        map["vkGetInstanceProcAddr"] = as_void(get_instance_function);
        map["vkGetDeviceProcAddr"] = as_void(get_device_function);
        return map;
    }();
    return own;
}

PFN_vkVoidFunction own_function(std::string_view name) {
    const auto found = own_functions().find(name);
    return found == own_functions().end() ? nullptr : found->second;
}

void Belows::add(const void* object, Below below) {
    for (const auto& [name, function] : own_functions())
        below.found[name] = below.find(name.data());
    const std::lock_guard lock(mutex_);
    map_[key_of(object)] = std::move(below);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_instance_function(VkInstance instance,
                                                               const char* name) {
    if (const auto function = own_function(name))
        return function;
    return instance ? belows.of(instance).find(name) : nullptr;
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_device_function(VkDevice device, const char* name) {
    const auto next = belows.of(device).find(name);
    const auto function = own_function(name);
    return next && function ? function : next;
}

} // namespace

extern "C" [[gnu::visibility("default")]] VKAPI_ATTR VkResult VKAPI_CALL
vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface* interface) {
    interface->loaderLayerInterfaceVersion = std::min(interface->loaderLayerInterfaceVersion, 2u);
    interface->pfnGetInstanceProcAddr = get_instance_function;
    interface->pfnGetDeviceProcAddr = get_device_function;
    interface->pfnGetPhysicalDeviceProcAddr = nullptr;
    return VK_SUCCESS;
}
