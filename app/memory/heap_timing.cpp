#include "memory/heap_timing.h"

#include "core/units.h"

#include <fmt/format.h>

#include <unistd.h>

namespace clearframe {

BufferTimes time_buffer(const Heap& heap, std::size_t bytes) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t size = align_up(bytes, page);
    check_memory(fmt::format("heap {}: allocating {}", heap.name(), bytes_text(size)), size,
                 Failure::run);

    BufferTimes times;
    Nanoseconds start = now();
    UniqueFd fd = heap.allocate_pages(size).fd;
    times.allocate = now() - start;
    {
        start = now();
        const Mapping mapping(fd.get(), size, Access::write, fmt::format("heap {}", heap.name()));
        for (std::size_t i = 0; i < size; i += page)
            *const_cast<volatile std::byte*>(&mapping.bytes()[i]) = std::byte{0};
        times.first_touch = now() - start;
    }
    start = now();
    fd.reset();
    times.free = now() - start;
    return times;
}

} // namespace clearframe
