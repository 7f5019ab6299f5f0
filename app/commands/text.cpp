#include "commands/text.h"

#include <algorithm>

namespace clearframe {
namespace {

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }

} // namespace

std::size_t columns(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), begins_character));
}

std::string fitted(std::string_view text, std::size_t width) {
    const std::size_t all = columns(text);
    if (all <= width)
        return std::string(text);
    const std::size_t tail = (width - 1) / 2, head = width - 1 - tail;
    std::string cut;
    std::size_t column = 0; // of the next character
    for (const char c : text) {
        column += begins_character(c);
        if (column == head + 1 && begins_character(c))
            cut += "…";
        if (column <= head || column > all - tail)
            cut += c;
    }
    return cut;
}

std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
    std::vector<std::string> lines(1);
    while (!text.empty()) {
        const std::size_t space = std::min(text.find(' '), text.size());
        const std::string_view word = text.substr(0, space);
        text.remove_prefix(std::min(space + 1, text.size()));
        std::string& line = lines.back();
        if (line.empty())
            line = word;
        else if (columns(line) + 1 + columns(word) <= width)
            line.append(" ").append(word);
        else
            lines.emplace_back(word);
    }
    return lines;
}

} // namespace clearframe
