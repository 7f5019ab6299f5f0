#include "core/error.h"

#include <fmt/format.h>

#include <string.h>

namespace clearframe {
namespace {

constexpr std::string_view full_stop = ". ";

std::string line(std::string_view what, std::string_view native, std::string_view advice) {
    std::string text(what);
    if (!native.empty())
        text += fmt::format(": {}", native);
    if (!advice.empty())
        text.append(full_stop).append(advice);
    return text;
}

} // namespace

Error::Error(Failure failure, std::string_view what, std::string_view native,
             std::string_view advice)
    : std::runtime_error(line(what, native, advice)),
      failure_(failure),
      reason_size_(line(what, native, {}).size()) {}

std::string_view Error::advice() const noexcept {
    std::string_view text = what();
    text.remove_prefix(reason_size_);
    if (!text.empty())
        text.remove_prefix(full_stop.size());
    return text;
}

std::string errno_text(int error) {
    const char* name = strerrorname_np(error);
    const char* description = strerrordesc_np(error);
    if (!name || !description)
        return fmt::format("errno {}", error);
    return fmt::format("{} ({}: {})", name, error, description);
}

void throw_errno(int error, std::string_view what, std::string_view advice, Failure failure) {
    throw Error(failure, what, errno_text(error), advice);
}

} // namespace clearframe
