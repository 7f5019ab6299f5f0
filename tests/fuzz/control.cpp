// Every decoder of wire/control.h: the first byte says which one gets the rest.
#include "wire/control.h"

#include "fuzz/target.h"
#include "wire/immediate.h"

#include <algorithm>

namespace clearframe {
namespace {

using Bytes = std::span<const std::byte>;

// A good hello: what others are held against.
const Hello& agreed() {
    static const Hello hello = [] {
        Hello made;
        made.layout = make_frame_layout(640, 480, 2560, 64);
        made.ring = 4;
        made.max_message = 1 << 20;
        made.paths = {"zero-copy", "staging"};
        made.nic = "verbs";
        return made;
    }();
    return hello;
}

// Whatever was decoded, told again and decoded again is the same bytes.
template <typename T, typename Decode>
void check(const Decoded<T>& decoded, Decode decode) {
    const auto* const message = std::get_if<T>(&decoded);
    if (!message)
        return;
    const std::vector<std::byte> said = encode(*message);
    const Decoded<T> again = decode(Bytes(said).subspan(envelope_bytes));
    fuzz::require(std::holds_alternative<T>(again));
    fuzz::require(encode(std::get<T>(again)) == said);
}

void hello(Bytes bytes) {
    const Decoded<Hello> decoded = decode_hello(bytes);
    check(decoded, decode_hello);
    if (const auto* const hello = std::get_if<Hello>(&decoded)) {
        const FrameLayout& layout = hello->layout;
        fuzz::require(layout.width >= 1 && layout.width <= max_frame_side);
        fuzz::require(layout.stride >= layout.width * bytes_per_pixel);
        fuzz::require(layout.pixel_offset >= sizeof(FrameHeader));
        fuzz::require(layout.pixel_offset + layout.pixel_bytes() <= layout.trailer_offset);
        fuzz::require(layout.trailer_offset + sizeof(FrameTrailer) == layout.bytes);
        fuzz::require(layout.bytes <= layout.slot_bytes);
        fuzz::require(hello->ring >= 1 && hello->ring <= max_slots);
        fuzz::require(!hello->paths.empty());
    }
}

void welcome(Bytes bytes) {
    const auto decode = [](Bytes b) { return decode_welcome(b, agreed()); };
    const Decoded<Welcome> decoded = decode(bytes);
    check(decoded, decode);
    if (const auto* const welcome = std::get_if<Welcome>(&decoded)) {
        fuzz::require(welcome->slots.size() == agreed().ring);
        fuzz::require(welcome->max_message <= agreed().max_message);
    }
}

void begin(Bytes bytes) {
    const auto decode = [](Bytes b) { return decode_begin(b, agreed()); };
    const Decoded<Begin> decoded = decode(bytes);
    check(decoded, decode);
    if (const auto* const begin = std::get_if<Begin>(&decoded))
        fuzz::require(begin->path < agreed().paths.size());
}

void envelope(Bytes bytes) {
    if (bytes.size() < envelope_bytes)
        return;
    const Decoded<Envelope> decoded = decode_envelope(bytes.first<envelope_bytes>());
    if (const auto* const envelope = std::get_if<Envelope>(&decoded))
        fuzz::require(envelope->length <= max_control_bytes);
    else
        fuzz::require(!mismatch_text(std::get<Mismatch>(decoded)).empty());
}

} // namespace

void fuzz::one_input(std::span<const std::byte> input) {
    if (input.empty())
        return;
    const Bytes bytes = input.subspan(1);
    switch (static_cast<ControlType>(std::to_integer<unsigned>(input[0]) % 9)) {
    case ControlType::hello:
        return hello(bytes);
    case ControlType::welcome:
        return welcome(bytes);
    case ControlType::rejection:
        return check(decode_rejection(bytes), decode_rejection);
    case ControlType::begin:
        return begin(bytes);
    case ControlType::ready:
        return check(decode_ready(bytes), decode_ready);
    case ControlType::end:
        return check(decode_end(bytes), decode_end);
    case ControlType::result:
        return check(decode_result(bytes), decode_result);
    case ControlType::bye:
        return check(decode_bye(bytes), decode_bye);
    default:
        return envelope(bytes);
    }
}

} // namespace clearframe
