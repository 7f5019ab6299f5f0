#include "commands/saves.h"

#include "core/error.h"
#include "core/result_file.h"
#include "gpu/capture.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <filesystem>

namespace clearframe {
namespace {

constexpr double notice_s = 6;

} // namespace

std::string encode(const Picture& picture) {
    return encode_png(picture.rgba, picture.width, picture.height, PixelFormat::rgba);
}

Saves::Saves(const std::optional<std::string>& place) : place_(place.value_or(".")) {
    if (place)
        ResultFile(name(".json"));
}

std::string Saves::save(std::string_view what, std::string_view ending,
                        const std::string& contents) const {
    try {
        const std::string file = name(ending);
        ResultFile(file).commit(contents);
        return fmt::format("{} saved to {}", what, file);
    } catch (const Error& error) {
        return error.what();
    }
}

std::string Saves::name(std::string_view ending) const {
    if (!std::filesystem::is_directory(place_))
        return place_ + std::string(ending);
    const std::string file =
        fmt::format("clearframe-{:%Y%m%d-%H%M%S}{}", fmt::localtime(std::time(nullptr)), ending);
    return (std::filesystem::path(place_) / file).lexically_normal().string();
}

void Notice::say(std::string text, double time_s) {
    if (text.empty())
        return;
    text_ = std::move(text);
    until_s_ = time_s + notice_s;
}

void check_validation(std::uint64_t complaints) {
    if (complaints > 0)
        throw Error(
            Failure::run,
            fmt::format("the validation layers had {} complaints about Vulkan calls", complaints),
            {}, {});
}

} // namespace clearframe
