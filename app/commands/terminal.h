// Text for people: colours where there is a terminal that wants them, one line of progress.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

namespace clearframe {

enum class Style { plain, bold, dim, good, attention, bad };

// One output stream. Used by one thread.
class Terminal {
public:
    // Colours only if `stream` is a terminal, NO_COLOR (no-color.org) is unset or empty, and TERM
    // is not "dumb".
    explicit Terminal(std::FILE* stream);

    // Throws Error if a line could not be written (disk full, stream closed). A reader that has
    // gone is none: it has seen what it wanted.
    void check() const;

    bool is_terminal() const noexcept { return is_terminal_; }
    // Columns to lay text out in: 80, or what a narrower terminal has, 40 at least.
    std::size_t width() const;
    std::string styled(std::string_view text, Style style) const;
    void line(std::string_view text); // and a newline; clears a progress line first

    // Shows `text` in place of the progress line before, cut to the terminal's width. Nothing
    // where the stream is no terminal.
    void progress(std::string_view text);
    void clear_progress();

private:
    std::FILE* stream_;
    bool is_terminal_;
    bool colours_;
    bool progress_shown_ = false;
    int error_ = 0; // errno of the first line that could not be written
};

// "[#######-------]" for 0 … 1.
std::string bar(double fraction, int width);

} // namespace clearframe
