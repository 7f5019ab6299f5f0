#include "commands/terminal.h"

#include "core/error.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>

namespace clearframe {
namespace {

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

const char* escape_of(Style style) {
    switch (style) {
    case Style::plain:
        return "";
    case Style::bold:
        return "\033[1m";
    case Style::dim:
        return "\033[2m";
    case Style::good:
        return "\033[32m";
    case Style::attention:
        return "\033[33m";
    case Style::bad:
        return "\033[31m";
    }
    return "";
}

constexpr std::size_t default_columns = 80;

// Of the terminal; the usual 80 where it is none or does not say.
std::size_t columns_of(std::FILE* stream) {
    winsize size{};
    const bool known = ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : default_columns;
}

// UTF-8 text cut after `columns` characters.
std::string_view cut(std::string_view text, std::size_t columns) {
    std::size_t i = 0;
    for (; i < text.size(); ++i)
        if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80 && columns-- == 0)
            break;
    return text.substr(0, i);
}

} // namespace

Terminal::Terminal(std::FILE* stream)
    : stream_(stream),
      is_terminal_(isatty(fileno(stream)) == 1),
      colours_(is_terminal_ && environment("NO_COLOR").empty() && environment("TERM") != "dumb") {}

std::string Terminal::styled(std::string_view text, Style style) const {
    if (!colours_ || style == Style::plain)
        return std::string(text);
    return std::string(escape_of(style)).append(text).append("\033[0m");
}

void Terminal::line(std::string_view text) {
    clear_progress();
    std::fwrite(text.data(), 1, text.size(), stream_);
    std::fputc('\n', stream_);
    if (std::fflush(stream_) != 0 && error_ == 0)
        error_ = errno;
}

void Terminal::check() const {
    if (error_ != 0 && error_ != EPIPE)
        throw_errno(error_, "the report cannot be written",
                    error_ == ENOSPC ? "Make room there or send it elsewhere"
                                     : "Send it elsewhere, or take --quiet");
}

std::size_t Terminal::width() const {
    return std::clamp<std::size_t>(columns_of(stream_), 40, default_columns);
}

void Terminal::progress(std::string_view text) {
    if (!is_terminal_)
        return;
    const std::string_view shown = cut(text, columns_of(stream_) - 1);
    std::fputs("\r\033[K", stream_);
    std::fwrite(shown.data(), 1, shown.size(), stream_);
    std::fflush(stream_);
    progress_shown_ = true;
}

void Terminal::clear_progress() {
    if (progress_shown_)
        std::fputs("\r\033[K", stream_);
    progress_shown_ = false;
}

std::string bar(double fraction, int width) {
    const int full = static_cast<int>(std::lround(std::clamp(fraction, 0.0, 1.0) * width));
    std::string text = "[";
    text.append(static_cast<std::size_t>(full), '#');
    text.append(static_cast<std::size_t>(width - full), '-');
    return text + "]";
}

} // namespace clearframe
