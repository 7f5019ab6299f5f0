// Laying out text in columns.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace clearframe {

// The columns that UTF-8 text takes, one a character.
std::size_t columns(std::string_view text);

// `text` in `width` columns, 3 at least: what is too long has "…" in its middle.
std::string fitted(std::string_view text, std::size_t width);

// Broken between words into lines of at most `width` columns; a word that is longer has a line of
// its own. At least one line.
std::vector<std::string> wrapped(std::string_view text, std::size_t width);

} // namespace clearframe
