// What emulated NICs of two processes say to each other: the first byte says which message.
#include "fuzz/target.h"
#include "nic/emulated/protocol.h"

#include <cstring>

namespace clearframe {

void fuzz::one_input(std::span<const std::byte> input) {
    namespace emu = emulated;
    if (input.empty())
        return;
    const std::span<const std::byte> bytes = input.subspan(1);
    switch (std::to_integer<unsigned>(input[0]) % 4) {
    case 0:
        if (const auto hello = emu::decode_hello(bytes))
            fuzz::require(hello->magic == emu::magic && bytes.size() == sizeof(emu::Hello));
        break;
    case 1:
        if (const auto answer = emu::decode_answer(bytes))
            fuzz::require(answer->magic == emu::magic && bytes.size() == sizeof(emu::Answer));
        break;
    case 2:
        if (const auto note = emu::decode_note(bytes))
            fuzz::require(bytes.size() == sizeof(emu::Note));
        break;
    default:
        if (const auto regions = emu::decode_regions(bytes)) {
            fuzz::require(!regions->empty() && regions->size() <= emu::regions_in_message);
            const std::vector<std::byte> said = emu::encode_regions(*regions);
            fuzz::require(said.size() == bytes.size() &&
                          std::memcmp(said.data(), bytes.data(), said.size()) == 0);
        }
    }
}

} // namespace clearframe
