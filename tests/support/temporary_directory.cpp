#include "support/temporary_directory.h"

#include <gtest/gtest.h>

#include <system_error>

#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <string>

namespace clearframe::testing {

TemporaryDirectory::TemporaryDirectory() {
    std::string name = std::filesystem::temp_directory_path() / "clearframe-test-XXXXXX";
    if (!::mkdtemp(name.data()))
        throw std::system_error(errno, std::generic_category(), name);
    path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
    if (::testing::Test::HasFailure()) {
        std::cerr << "kept for a look: " << path_ << '\n';
        return;
    }
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

} // namespace clearframe::testing
