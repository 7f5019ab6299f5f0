// Opens the first Vulkan device and prints what a few commands gave: 0 is VK_SUCCESS.
#include <vulkan/vulkan.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

namespace {

bool has_dma_buf(VkPhysicalDevice physical) {
    std::uint32_t count = 0;
    vkEnumerateDeviceExtensionProperties(physical, nullptr, &count, nullptr);
    std::vector<VkExtensionProperties> all(count);
    vkEnumerateDeviceExtensionProperties(physical, nullptr, &count, all.data());
    for (const auto& extension : all)
        if (std::strcmp(extension.extensionName, "VK_EXT_external_memory_dma_buf") == 0)
            return true;
    return false;
}

// The result of one round, which stops at the first command that fails.
int use_device() {
    const VkApplicationInfo application{.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                        .apiVersion = VK_API_VERSION_1_3};
    const VkInstanceCreateInfo instance_info{.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                             .pApplicationInfo = &application};
    VkInstance instance = VK_NULL_HANDLE;
    VkResult result = vkCreateInstance(&instance_info, nullptr, &instance);
    std::printf("vkCreateInstance %d\n", result);
    if (result != VK_SUCCESS)
        return 1;

    VkPhysicalDevice physical = VK_NULL_HANDLE;
    std::uint32_t one = 1;
    vkEnumeratePhysicalDevices(instance, &one, &physical);
    if (one == 0)
        return 77;
    std::printf("dma_buf %s\n", has_dma_buf(physical) ? "yes" : "no");

    const float priority = 1;
    const VkDeviceQueueCreateInfo queue{.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                        .queueCount = 1,
                                        .pQueuePriorities = &priority};
    const char* extensions[] = {"VK_KHR_external_memory_fd", "VK_EXT_external_memory_dma_buf"};
    const VkDeviceCreateInfo device_info{.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                         .queueCreateInfoCount = 1,
                                         .pQueueCreateInfos = &queue,
                                         .enabledExtensionCount = 2,
                                         .ppEnabledExtensionNames = extensions};
    VkDevice device = VK_NULL_HANDLE;
    result = vkCreateDevice(physical, &device_info, nullptr, &device);
    std::printf("vkCreateDevice %d\n", result);
    if (result == VK_SUCCESS) {
        const VkMemoryAllocateInfo memory_info{.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                               .allocationSize = 4096};
        for (int i = 0; i < 3; ++i) {
            VkDeviceMemory memory = VK_NULL_HANDLE;
            result = vkAllocateMemory(device, &memory_info, nullptr, &memory);
            std::printf("vkAllocateMemory %d\n", result);
            vkFreeMemory(device, memory, nullptr);
        }
        VkQueue work = VK_NULL_HANDLE;
        vkGetDeviceQueue(device, 0, 0, &work);
        std::printf("vkQueueSubmit %d\n", vkQueueSubmit(work, 0, nullptr, VK_NULL_HANDLE));
        vkDestroyDevice(device, nullptr);
    }
    vkDestroyInstance(instance, nullptr);
    return 0;
}

} // namespace

// Twice: the second time the loader loads its layers again.
int main() {
    const int first = use_device();
    return first != 0 ? first : use_device();
}
