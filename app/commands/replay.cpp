#include "commands/replay.h"

#include "core/error.h"
#include "core/units.h"
#include "gpu/gpu.h"
#include "gpu/scene.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>

namespace clearframe {
namespace {

using nlohmann::json;

constexpr std::size_t most_bytes = 16 * MiB; // a recording has a few thousand

[[noreturn]] void refuse(std::string_view name, std::string_view member,
                         std::string_view expected) {
    throw Error(Failure::usage, fmt::format("{}: {} must be {}", name, member, expected), {},
                "Make it with clearframe demo --record");
}

std::string read_text(const std::string& path) {
    const std::string what = fmt::format("reading {}", path);
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file)
        throw_errno(errno, what, "Make it with clearframe demo --record", Failure::unavailable);
    std::string text;
    std::string piece(64 * KiB, '\0');
    while (text.size() <= most_bytes) {
        const ssize_t got = ::read(file.get(), piece.data(), piece.size());
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            throw_errno(errno, what, {}, Failure::unavailable);
        if (got == 0)
            return text;
        text.append(piece, 0, static_cast<std::size_t>(got));
    }
    throw Error(Failure::usage, fmt::format("{} is too large to be a recording", path), {},
                "Make it with clearframe demo --record");
}

void read_ui(const json& ui, std::string_view name, Recording& recording) {
    if (!ui.is_object())
        refuse(name, "ui", "an object");
    for (const auto& [member, value] : ui.items()) {
        if (member == "help" || member == "doctor") {
            if (!value.is_boolean())
                refuse(name, "ui." + member, "true or false");
            if (value.get<bool>())
                recording.overlay = member == "help" ? Overlay::help : Overlay::doctor;
        } else if (member == "scroll") {
            if (!value.is_number() || !(std::abs(value.get<double>()) <= max_frame_side))
                refuse(name, "ui.scroll", "a number of units");
            recording.scroll = value.get<float>();
        } else if (member == "pointer") {
            const auto is_place = [](const json& number) {
                return number.is_number() && std::abs(number.get<double>()) <= max_frame_side;
            };
            if (!value.is_array() || value.size() != 2 || !is_place(value[0]) ||
                !is_place(value[1]))
                refuse(name, "ui.pointer", "[x, y]");
            recording.pointer = {value[0].get<double>(), value[1].get<double>()};
        } else {
            refuse(name, "ui." + member, "help, doctor, scroll or pointer");
        }
    }
}

// As the sender's GPU would have drawn it.
void draw(const DmaBuf& slot, const FrameLayout& layout, Scene scene, std::uint32_t seed,
          std::uint64_t sequence) {
    const Mapping mapping = slot.map(Access::read_write);
    const CpuAccess access(slot, Access::write);
    // The slots of the scene `none` are filled once, all alike.
    const std::uint64_t picture = scene == Scene::none ? 0 : sequence;
    std::vector<std::uint32_t> row(layout.width);
    for (std::uint32_t y = 0; y < layout.height; ++y) {
        scene_row(scene, seed, picture, layout.height, y, row);
        std::memcpy(mapping.bytes().data() + layout.pixel_offset + std::uint64_t{y} * layout.stride,
                    row.data(), row.size() * bytes_per_pixel);
    }
}

} // namespace

Recording recording_from_json(std::string_view text, std::string_view name) {
    Recording recording{.snapshot = snapshot_from_json(text, name)};
    if (!scene_from_name(recording.snapshot.settings.scene))
        refuse(name, "settings.scene", "none, waves, test-card or noise");
    const json parsed = json::parse(text);
    if (const auto ui = parsed.find("ui"); ui != parsed.end())
        read_ui(*ui, name, recording);
    return recording;
}

Recording read_recording(const std::string& path) {
    return recording_from_json(read_text(path), path);
}

ReplayedFrames::ReplayedFrames(const Snapshot& snapshot, const FrameViews& views)
    : heap_(open_heap("memfd")) {
    const DemoSettings& settings = snapshot.settings;
    const FrameLayout layout = plain_frame_layout(settings.width, settings.height);
    for (const PathSnapshot& path : snapshot.paths) {
        if (!path.shown)
            continue;
        slots_.push_back(heap_->allocate(layout.slot_bytes, Exposure::private_memory, exposure_));
        draw(slots_.back(), layout, *scene_from_name(settings.scene), snapshot.seed, *path.shown);
        views_[path.name] = views.import({&slots_.back(), 1}, layout);
    }
}

std::shared_ptr<const ViewedSlots> ReplayedFrames::find(const std::string& path) const {
    const auto found = views_.find(path);
    return found == views_.end() ? nullptr : found->second;
}

} // namespace clearframe
