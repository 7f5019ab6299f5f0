#include "nic/emulated/peer_memory.h"

#include "core/error.h"
#include "core/units.h"

#include <fmt/format.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <utility>

namespace clearframe::emulated {
namespace {

constexpr std::uint64_t most_bytes = 64 * GiB; // of all regions of one peer

[[noreturn]] void refuse(const RegionRecord& record, std::string_view why) {
    throw Error(
        Failure::run,
        fmt::format("NIC emulated: {} of the peer's memory: {}", bytes_text(record.length), why),
        {}, {});
}

// A dma-buf keeps its size. A memfd does so when it is sealed; then its pages must be there as
// well, so that nobody's memory is filled on the peer's word.
void check_file(const RegionRecord& record, int fd) {
    struct statfs system {};
    struct stat status {};
    if (::fstatfs(fd, &system) != 0 || ::fstat(fd, &status) != 0)
        throw_errno(errno, "NIC emulated: looking at the peer's memory");
    std::uint64_t size = 0;
    const bool is_memfd = static_cast<std::uint64_t>(system.f_type) != DMA_BUF_MAGIC;
    if (!is_memfd) {
        const off_t end = ::lseek(fd, 0, SEEK_END);
        size = end > 0 ? static_cast<std::uint64_t>(end) : 0;
    } else {
        const int seals = ::fcntl(fd, F_GET_SEALS);
        if (seals < 0 || (seals & F_SEAL_SHRINK) == 0)
            refuse(record, "it is neither a dma-buf nor a memfd with F_SEAL_SHRINK");
        size = static_cast<std::uint64_t>(status.st_size);
    }
    if (size < record.length)
        refuse(record, fmt::format("its file has only {}", bytes_text(size)));
    if (is_memfd && static_cast<std::uint64_t>(status.st_blocks) * 512 < record.length)
        refuse(record, "its file has holes");
}

} // namespace

void PeerMemory::add(const RegionRecord& record, int fd) {
    if (by_key_.size() >= most_regions || record.length > most_bytes - bytes_)
        refuse(record,
               fmt::format("more than {} regions or {}", most_regions, bytes_text(most_bytes)));
    if (record.length == 0 || record.address + record.length < record.address)
        refuse(record, "no such range of addresses");
    const auto next = ranges_.lower_bound(record.address);
    if ((next != ranges_.end() && next->first < record.address + record.length) ||
        (next != ranges_.begin() &&
         std::prev(next)->first + std::prev(next)->second > record.address))
        refuse(record, "it overlaps other memory of the peer");
    if (record.rkey == 0 || by_key_.contains(record.rkey))
        refuse(record, "its key is another's");
    check_file(record, fd);
    Mapping mapping(fd, record.length, Access::read_write, "NIC emulated: the peer's memory");
    auto memory = std::make_shared<DeviceMemory>();
    memory->mapping = std::move(mapping);
    memory->access = RemoteAccess::write;
    memory->address = record.address;
    memory->rkey = record.rkey;
    by_key_.emplace(record.rkey, std::move(memory));
    ranges_.emplace(record.address, record.length);
    bytes_ += record.length;
}

std::shared_ptr<const DeviceMemory> PeerMemory::find(std::uint32_t rkey) const {
    const auto found = by_key_.find(rkey);
    return found != by_key_.end() ? found->second : nullptr;
}

std::shared_ptr<const DeviceMemory> PeerMemory::take(std::uint32_t rkey) {
    auto node = by_key_.extract(rkey);
    return node ? std::move(node.mapped()) : nullptr;
}

} // namespace clearframe::emulated
