#include "coco_guest/edu.h"

#include "core/error.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include <filesystem>

namespace clearframe::guest {

Edu::Edu() : device_(::open("/dev/edu_dma", O_RDWR | O_CLOEXEC)) {
    if (!device_)
        throw_errno(errno, "opening /dev/edu_dma");
}

std::string Edu::pci_name() {
    for (const auto& entry : std::filesystem::directory_iterator("/sys/bus/pci/drivers/edu_dma"))
        if (entry.path().filename().string().starts_with("0000:"))
            return entry.path().filename();
    throw Error(Failure::unavailable, "looking for the PCI device edu: its driver has none", {},
                {});
}

int Edu::map(int fd) {
    edu_dma_map map{};
    map.fd = fd;
    if (::ioctl(device_.get(), EDU_DMA_MAP, &map) != 0)
        return errno;
    mapped_ = map;
    return 0;
}

int Edu::unmap() { return ::ioctl(device_.get(), EDU_DMA_UNMAP) == 0 ? 0 : errno; }

int Edu::read(std::uint64_t offset, std::uint32_t bytes) {
    return transfer(EDU_DMA_READ, offset, bytes);
}

int Edu::write(std::uint64_t offset, std::uint32_t bytes) {
    return transfer(EDU_DMA_WRITE, offset, bytes);
}

int Edu::transfer(unsigned long command, std::uint64_t offset, std::uint32_t bytes) {
    const edu_dma_transfer transfer{.offset = offset, .bytes = bytes, .reserved = 0};
    return ::ioctl(device_.get(), command, &transfer) == 0 ? 0 : errno;
}

} // namespace clearframe::guest
