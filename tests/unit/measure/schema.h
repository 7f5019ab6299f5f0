// Holding JSON against the schemas in docs/.
#pragma once

#include "support/files.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

namespace clearframe::test {

class SchemaTest : public ::testing::Test {
protected:
    explicit SchemaTest(std::string_view schema)
        : schema_(here() / "../../../docs" / std::filesystem::path(schema)) {}

    void SetUp() override {
        std::string output;
        const int status = check("", "", output);
        if (status == 77 || status == 127)
            GTEST_SKIP() << "the schema cannot be checked without /usr/bin/python3 and its module "
                            "jsonschema (apt install python3-jsonschema)";
        ASSERT_EQ(status, 0) << output;
    }

    // Whether the schema takes a record; with the option --strict, whether it refuses every spoilt
    // copy of it too.
    bool accepts(const std::string& json, std::string_view option, std::string& output) {
        const std::filesystem::path record = directory_ / "record.json";
        write_file(record, json);
        return check(option, fmt::format("'{}'", record.string()), output) == 0;
    }

private:
    static std::filesystem::path here() { return std::filesystem::path(__FILE__).parent_path(); }

    // Runs results_schema.py; what it prints ends up in `output`.
    int check(std::string_view option, std::string_view files, std::string& output) {
        const std::string command =
            fmt::format("/usr/bin/python3 '{}' {} '{}' {} 2>&1",
                        (here() / "results_schema.py").string(), option, schema_.string(), files);
        FILE* pipe = ::popen(command.c_str(), "r");
        if (!pipe)
            return -1;
        for (int c = 0; (c = std::fgetc(pipe)) != EOF;)
            output += static_cast<char>(c);
        const int status = ::pclose(pipe);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

    std::filesystem::path schema_;
    TemporaryDirectory directory_;
};

} // namespace clearframe::test
