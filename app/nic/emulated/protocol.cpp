#include "nic/emulated/protocol.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace clearframe::emulated {
namespace {

template <typename T>
std::optional<T> read_whole(std::span<const std::byte> bytes) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (bytes.size() != sizeof(T))
        return std::nullopt;
    T value;
    std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
}

} // namespace

std::optional<Hello> decode_hello(std::span<const std::byte> bytes) {
    const auto hello = read_whole<Hello>(bytes);
    return hello && hello->magic == magic ? hello : std::nullopt;
}

std::optional<Answer> decode_answer(std::span<const std::byte> bytes) {
    const auto answer = read_whole<Answer>(bytes);
    if (!answer || answer->magic != magic || answer->zero != 0)
        return std::nullopt;
    switch (answer->verdict) {
    case Verdict::accepted:
    case Verdict::ready:
    case Verdict::other_version:
    case Verdict::wrong_key:
        return answer;
    }
    return std::nullopt;
}

std::optional<Note> decode_note(std::span<const std::byte> bytes) {
    const auto note = read_whole<Note>(bytes);
    if (!note || note->zero != 0)
        return std::nullopt;
    switch (note->kind) {
    case NoteKind::arrived:
    case NoteKind::confirmed:
    case NoteKind::not_ready:
    case NoteKind::broken:
    case NoteKind::revoke:
    case NoteKind::revoked:
        return note;
    }
    return std::nullopt;
}

std::optional<std::vector<RegionRecord>> decode_regions(std::span<const std::byte> bytes) {
    if (bytes.size() < sizeof(RegionsHeader))
        return std::nullopt;
    const auto header = read_whole<RegionsHeader>(bytes.first(sizeof(RegionsHeader)));
    const std::span<const std::byte> rest = bytes.subspan(sizeof(RegionsHeader));
    if (header->kind != RegionsHeader{}.kind || header->count == 0 ||
        header->count > regions_in_message || rest.size() != header->count * sizeof(RegionRecord))
        return std::nullopt;
    std::vector<RegionRecord> records(header->count);
    std::memcpy(records.data(), rest.data(), rest.size());
    for (const RegionRecord& record : records)
        if (record.zero != 0)
            return std::nullopt;
    return records;
}

std::vector<std::byte> encode_regions(std::span<const RegionRecord> records) {
    const RegionsHeader header{.count = static_cast<std::uint32_t>(records.size())};
    std::vector<std::byte> bytes(sizeof(header) + records.size_bytes());
    std::memcpy(bytes.data(), &header, sizeof(header));
    std::ranges::copy(std::as_bytes(records), bytes.begin() + sizeof(header));
    return bytes;
}

} // namespace clearframe::emulated
