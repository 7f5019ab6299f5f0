#include "wire/control.h"

#include "core/units.h"
#include "wire/immediate.h"

#include <algorithm>
#include <concepts>
#include <type_traits>

namespace clearframe {
namespace {

constexpr std::size_t most_paths = 8;
constexpr std::uint64_t largest_slot = std::uint64_t{1} << 32;
constexpr std::uint32_t largest_stride = 2 * max_frame_side * bytes_per_pixel;
constexpr std::uint64_t largest_offset = 1 << 20; // of the pixels
constexpr std::uint32_t least_message = 4096;

// A message's fields are listed once, in fields(): for the one class to write and the other to
// read.
class Writer {
public:
    template <typename T>
    void number(const T& value) {
        if constexpr (std::is_enum_v<T>)
            number(static_cast<std::underlying_type_t<T>>(value));
        else
            for (std::size_t i = 0; i < sizeof(T); ++i)
                bytes_.push_back(static_cast<std::byte>(value >> (8 * i) & 0xff));
    }
    // A field of `size` bytes, the last of which is always 0.
    void text(const std::string& value, std::size_t size) {
        const std::size_t length = std::min(value.size(), size - 1);
        for (std::size_t i = 0; i < size; ++i)
            bytes_.push_back(i < length ? static_cast<std::byte>(value[i]) : std::byte{0});
    }
    template <std::size_t size>
    void raw(const std::array<std::byte, size>& value) {
        bytes_.insert(bytes_.end(), value.begin(), value.end());
    }

    std::vector<std::byte> take() { return std::move(bytes_); }

private:
    std::vector<std::byte> bytes_;
};

// Reads zeros past the end, and says so afterwards.
class Reader {
public:
    explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

    template <typename T>
    void number(T& value) {
        if constexpr (std::is_enum_v<T>) {
            std::underlying_type_t<T> bits{};
            number(bits);
            value = static_cast<T>(bits);
        } else {
            value = 0;
            for (std::size_t i = 0; i < sizeof(T); ++i)
                value = static_cast<T>(
                    value | static_cast<T>(T{std::to_integer<std::uint8_t>(next())} << (8 * i)));
        }
    }
    // What would do something to a terminal is replaced.
    void text(std::string& value, std::size_t size) {
        value.clear();
        bool ended = false;
        for (std::size_t i = 0; i < size; ++i) {
            const char c = static_cast<char>(next());
            ended |= c == 0 || i + 1 == size;
            if (!ended)
                value += c >= 0x20 && c < 0x7f ? c : '?';
        }
    }
    template <std::size_t size>
    void raw(std::array<std::byte, size>& value) {
        for (std::byte& byte : value)
            byte = next();
    }

    std::size_t left() const { return bytes_.size() - at_; }
    std::size_t missing() const { return missing_; }

private:
    std::byte next() {
        if (at_ < bytes_.size())
            return bytes_[at_++];
        ++missing_;
        return std::byte{0};
    }

    std::span<const std::byte> bytes_;
    std::size_t at_ = 0;
    std::size_t missing_ = 0;
};

// `T` is a message, const for a Writer.
template <typename IO, typename T>
void part_fields(IO& io, T& part) {
    io.text(part.name, 64);
    io.text(part.detail, 128);
    io.text(part.emulation, 192);
}

template <typename IO, typename T>
void layout_fields(IO& io, T& layout) {
    io.number(layout.width);
    io.number(layout.height);
    io.number(layout.stride);
    io.number(layout.pixel_offset);
    io.number(layout.trailer_offset);
    io.number(layout.bytes);
    io.number(layout.slot_bytes);
}

// Without the paths: their number is not fixed.
template <typename IO, typename T>
void hello_fields(IO& io, T& hello) {
    layout_fields(io, hello.layout);
    io.number(hello.format);
    io.number(hello.ring);
    io.number(hello.seed);
    io.number(hello.max_message);
    io.number(hello.bounce);
    io.text(hello.nic, 16);
    io.text(hello.program, 64);
    io.raw(hello.host);
    for (auto& part : hello.parts)
        part_fields(io, part);
}

// Without the slots.
template <typename IO, typename T>
void welcome_fields(IO& io, T& welcome) {
    io.number(welcome.max_message);
    io.text(welcome.nic_address, 64);
    io.raw(welcome.key);
    io.text(welcome.program, 64);
    for (auto& part : welcome.parts)
        part_fields(io, part);
}

// The messages of fixed size.
// ----------------------------------------------------------------------

template <typename IO, typename T>
requires std::same_as<std::remove_const_t<T>, Rejection>
void fields(IO& io, T& rejection) {
    io.text(rejection.mismatch.field, 32);
    io.text(rejection.mismatch.ours, 96);
    io.text(rejection.mismatch.theirs, 96);
    io.text(rejection.advice, 192);
}

template <typename IO, typename T>
requires std::same_as<std::remove_const_t<T>, Begin>
void fields(IO& io, T& begin) {
    io.number(begin.block);
    io.number(begin.path);
    io.number(begin.scene);
    io.number(begin.verify);
}

template <typename IO, typename T>
requires std::same_as<std::remove_const_t<T>, Ready> || std::same_as<std::remove_const_t<T>, End>
void fields(IO& io, T& message) { io.number(message.block); }

template <typename IO, typename T>
requires std::same_as<std::remove_const_t<T>, Bye>
void fields(IO& io, T& bye) { io.text(bye.reason, 192); }

template <typename IO, typename T>
requires std::same_as<std::remove_const_t<T>, Result>
void fields(IO& io, T& result) {
    io.number(result.block);
    for (auto* const count :
         {&result.frames, &result.lost, &result.corrupt, &result.rejected, &result.verified_pixels,
          &result.copied_bytes, &result.cpu_ns, &result.cpu_copy_ns, &result.timed_frames,
          &result.timed_bytes, &result.time_ns})
        io.number(*count);
}

std::vector<std::byte> sealed(ControlType type, Writer& body) {
    const std::vector<std::byte> payload = body.take();
    Writer whole;
    whole.number(control_magic);
    whole.number(control_version);
    whole.number(type);
    whole.number(static_cast<std::uint32_t>(payload.size()));
    whole.number(std::uint32_t{0});
    std::vector<std::byte> message = whole.take();
    message.insert(message.end(), payload.begin(), payload.end());
    return message;
}

std::string text(std::uint64_t value) { return std::to_string(value); }

// Whether `value` is from `least` to `most`; otherwise `wrong` says which field is not.
bool within(std::vector<Mismatch>& wrong, const char* field, std::uint64_t value,
            std::uint64_t least, std::uint64_t most) {
    if (value >= least && value <= most)
        return true;
    wrong.push_back(
        {field, least == most ? text(least) : text(least) + " to " + text(most), text(value)});
    return false;
}

bool check_layout(std::vector<Mismatch>& wrong, const FrameLayout& layout) {
    // One after the other: a later bound is made of the values before it.
    return within(wrong, "width", layout.width, 1, max_frame_side) &&
           within(wrong, "height", layout.height, 1, max_frame_side) &&
           within(wrong, "stride", layout.stride, std::uint64_t{layout.width} * bytes_per_pixel,
                  largest_stride) &&
           within(wrong, "stride in pixels, rest", layout.stride % bytes_per_pixel, 0, 0) &&
           within(wrong, "offset of the pixels", layout.pixel_offset, sizeof(FrameHeader),
                  largest_offset) &&
           within(wrong, "offset of the pixels, rest", layout.pixel_offset % bytes_per_pixel, 0,
                  0) &&
           within(wrong, "offset of the trailer", layout.trailer_offset,
                  layout.pixel_offset + layout.pixel_bytes(), largest_slot) &&
           within(wrong, "offset of the trailer, rest", layout.trailer_offset % 8, 0, 0) &&
           within(wrong, "bytes of a frame", layout.bytes,
                  layout.trailer_offset + sizeof(FrameTrailer),
                  layout.trailer_offset + sizeof(FrameTrailer)) &&
           within(wrong, "bytes of a slot", layout.slot_bytes, layout.bytes, largest_slot) &&
           within(wrong, "bytes of a slot, rest", layout.slot_bytes % (4 * KiB), 0, 0);
}

template <typename T>
std::vector<std::byte> encode_fixed(ControlType type, const T& message) {
    Writer body;
    fields(body, message);
    return sealed(type, body);
}

template <typename T>
Decoded<T> decode_fixed(std::span<const std::byte> bytes) {
    Reader reader(bytes);
    T message;
    fields(reader, message);
    if (reader.missing() > 0 || reader.left() > 0)
        return Mismatch{"length", text(bytes.size() + reader.missing() - reader.left()),
                        text(bytes.size())};
    return message;
}

} // namespace

std::string mismatch_text(const Mismatch& mismatch) {
    return mismatch.field + ": ours " + mismatch.ours + ", theirs " + mismatch.theirs;
}

std::vector<std::byte> encode(const Hello& message) {
    Writer body;
    hello_fields(body, message);
    body.number(static_cast<std::uint32_t>(message.paths.size()));
    for (const std::string& path : message.paths)
        body.text(path, 16);
    return sealed(ControlType::hello, body);
}

std::vector<std::byte> encode(const Welcome& message) {
    Writer body;
    welcome_fields(body, message);
    body.number(static_cast<std::uint32_t>(message.slots.size()));
    for (const RemoteSlot& slot : message.slots) {
        body.number(slot.address);
        body.number(slot.rkey);
    }
    return sealed(ControlType::welcome, body);
}

std::vector<std::byte> encode(const Rejection& message) {
    return encode_fixed(ControlType::rejection, message);
}
std::vector<std::byte> encode(const Begin& message) {
    return encode_fixed(ControlType::begin, message);
}
std::vector<std::byte> encode(const Ready& message) {
    return encode_fixed(ControlType::ready, message);
}
std::vector<std::byte> encode(const End& message) {
    return encode_fixed(ControlType::end, message);
}
std::vector<std::byte> encode(const Result& message) {
    return encode_fixed(ControlType::result, message);
}
std::vector<std::byte> encode(const Bye& message) {
    return encode_fixed(ControlType::bye, message);
}

Decoded<Envelope> decode_envelope(std::span<const std::byte, envelope_bytes> bytes) {
    Reader reader(bytes);
    std::uint32_t magic = 0;
    std::uint16_t version = 0, type = 0;
    std::uint32_t length = 0, zero = 0;
    reader.number(magic);
    reader.number(version);
    reader.number(type);
    reader.number(length);
    reader.number(zero);
    std::vector<Mismatch> wrong;
    const bool good =
        within(wrong, "protocol", magic, control_magic, control_magic) &&
        (type == static_cast<std::uint16_t>(ControlType::rejection) ||
         within(wrong, "version", version, control_version, control_version)) &&
        within(wrong, "message", type, 1, static_cast<std::uint16_t>(ControlType::bye)) &&
        within(wrong, "length", length, 0, max_control_bytes) &&
        within(wrong, "reserved", zero, 0, 0);
    if (!good)
        return wrong.front();
    return Envelope{static_cast<ControlType>(type), length};
}

Decoded<Hello> decode_hello(std::span<const std::byte> bytes) {
    Reader reader(bytes);
    Hello hello;
    hello_fields(reader, hello);
    std::uint32_t paths = 0;
    reader.number(paths);
    std::vector<Mismatch> wrong;
    if (!within(wrong, "missing bytes", reader.missing(), 0, 0) ||
        !within(wrong, "number of paths", paths, 1, most_paths) ||
        !within(wrong, "bytes of the paths' names", reader.left(), std::size_t{paths} * 16,
                std::size_t{paths} * 16))
        return wrong.front();
    hello.paths.resize(paths);
    for (std::string& path : hello.paths)
        reader.text(path, 16);
    const bool good =
        check_layout(wrong, hello.layout) &&
        within(wrong, "format", hello.format, format_bgra8, format_bgra8) &&
        within(wrong, "ring", hello.ring, 1, max_slots) &&
        within(wrong, "largest message", hello.max_message, least_message, 1u << 30) &&
        within(wrong, "bounce", hello.bounce, 0, 1);
    if (!good)
        return wrong.front();
    return hello;
}

Decoded<Welcome> decode_welcome(std::span<const std::byte> bytes, const Hello& hello) {
    Reader reader(bytes);
    Welcome welcome;
    welcome_fields(reader, welcome);
    std::uint32_t slots = 0;
    reader.number(slots);
    std::vector<Mismatch> wrong;
    if (!within(wrong, "missing bytes", reader.missing(), 0, 0) ||
        !within(wrong, "ring", slots, hello.ring, hello.ring) ||
        !within(wrong, "bytes of the slots", reader.left(), std::size_t{slots} * 12,
                std::size_t{slots} * 12) ||
        !within(wrong, "largest message", welcome.max_message, least_message, hello.max_message))
        return wrong.front();
    if (welcome.nic_address.empty() || welcome.nic_address.find(' ') != std::string::npos)
        return Mismatch{"address of the NIC", "a word", "'" + welcome.nic_address + "'"};
    welcome.slots.resize(slots);
    for (RemoteSlot& slot : welcome.slots) {
        reader.number(slot.address);
        reader.number(slot.rkey);
        if (!within(wrong, "address of a slot", slot.address, 0, UINT64_MAX - largest_slot))
            return wrong.front();
    }
    return welcome;
}

Decoded<Rejection> decode_rejection(std::span<const std::byte> bytes) {
    return decode_fixed<Rejection>(bytes);
}

Decoded<Begin> decode_begin(std::span<const std::byte> bytes, const Hello& hello) {
    Decoded<Begin> decoded = decode_fixed<Begin>(bytes);
    const auto* const begin = std::get_if<Begin>(&decoded);
    std::vector<Mismatch> wrong;
    if (begin && !(within(wrong, "path", begin->path, 0, hello.paths.size() - 1) &&
                   within(wrong, "scene", static_cast<std::uint32_t>(begin->scene), 0,
                          static_cast<std::uint32_t>(Scene::noise)) &&
                   within(wrong, "verify", begin->verify, 0, 2)))
        return wrong.front();
    return decoded;
}

Decoded<Ready> decode_ready(std::span<const std::byte> bytes) { return decode_fixed<Ready>(bytes); }
Decoded<End> decode_end(std::span<const std::byte> bytes) { return decode_fixed<End>(bytes); }
Decoded<Result> decode_result(std::span<const std::byte> bytes) {
    return decode_fixed<Result>(bytes);
}
Decoded<Bye> decode_bye(std::span<const std::byte> bytes) { return decode_fixed<Bye>(bytes); }

} // namespace clearframe
