// Runs a fuzz target on the files of its corpus: replay DIRECTORY.
#include "fuzz/target.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

int main(int argc, char** argv) {
    if (argc != 2)
        return 2;
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
        std::ifstream file(entry.path(), std::ios::binary);
        const std::vector<char> text{std::istreambuf_iterator<char>(file), {}};
        // Cut short at every length, too, as long as that is little work.
        const std::size_t step = std::max<std::size_t>(1, text.size() / 256);
        for (std::size_t size = 0; size <= text.size(); size += step)
            clearframe::fuzz::one_input(std::as_bytes(std::span(text).first(size)));
        clearframe::fuzz::one_input(std::as_bytes(std::span(text)));
        ++files;
    }
    std::printf("%zu files\n", files);
    return files > 0 ? 0 : 1;
}
