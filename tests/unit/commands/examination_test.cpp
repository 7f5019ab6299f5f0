// The doctor as the demo asks it: other programs in its place that end well, badly or not at all.
#include "commands/examination.h"
#include "support/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

namespace clearframe {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr Nanoseconds examination_limit = 60'000'000'000;

// A script that is run in the doctor's place.
class Script {
public:
    explicit Script(const std::string& text) {
        std::string name = (std::filesystem::temp_directory_path() / "doctor-XXXXXX").string();
        if (!::mkdtemp(name.data()))
            throw std::filesystem::filesystem_error("mkdtemp", name, std::error_code());
        folder_ = name;
        std::ofstream(path()) << "#!/bin/sh\n" << text << "\n";
        std::filesystem::permissions(path(), std::filesystem::perms(0755));
    }
    Script(const Script&) = delete;
    Script& operator=(const Script&) = delete;
    ~Script() { std::filesystem::remove_all(folder_); }

    std::string path() const { return folder_ / "doctor"; }

private:
    std::filesystem::path folder_;
};

std::string report() {
    DoctorRecord record;
    record.sections.push_back({"heaps", {{{"memfd", Health::good, "there", ""}}, {}, {}}});
    return to_json(record);
}

DoctorView outcome(Examination& examination) {
    while (examination.view()->looking)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return *examination.view();
}

TEST(Examination, ShowsWhatTheDoctorReports) {
    // The statuses of a doctor that has looked.
    for (const char* status : {"0", "4"}) {
        const Script script("[ \"$*\" = 'doctor --quiet --json -' ] || exit 9\ncat <<'END'\n" +
                            report() + "END\nexit " + status);
        Examination examination(script.path(), examination_limit);
        EXPECT_FALSE(examination.view());
        examination.start();
        const DoctorView view = outcome(examination);
        EXPECT_EQ(view.trouble, "");
        ASSERT_EQ(view.sections.size(), 1u);
        EXPECT_EQ(view.sections[0].findings.at(0).subject, "memfd");
    }
}

TEST(Examination, LooksAnewWhenAskedAgain) {
    const Script script("printf x >> \"$0.count\"; exit 3");
    Examination examination(script.path(), examination_limit);
    for (int i = 0; i < 3; ++i) {
        examination.start();
        outcome(examination);
    }
    EXPECT_EQ(std::filesystem::file_size(script.path() + ".count"), 3u);
}

TEST(Examination, SaysWhatWentWrong) {
    struct Wrong {
        const char* script;
        const char* says;
    };
    for (const Wrong& wrong : {Wrong{"exit 3", "the doctor ended with status 3"},
                               Wrong{"kill -SEGV $$", "the doctor crashed: signal 11"},
                               Wrong{"echo '{}'", "schema is missing"},
                               Wrong{"echo nonsense", "is not JSON"}, Wrong{"", "is not JSON"}}) {
        const Script script(wrong.script);
        Examination examination(script.path(), examination_limit);
        examination.start();
        const DoctorView view = outcome(examination);
        EXPECT_THAT(view.trouble, HasSubstr(wrong.says)) << wrong.script;
        EXPECT_TRUE(view.sections.empty());
    }
    Examination nobody("/nonexistent/doctor", examination_limit);
    nobody.start();
    EXPECT_THAT(outcome(nobody).trouble,
                AllOf(HasSubstr("starting the doctor: /nonexistent/doctor"), HasSubstr("ENOENT")));
}

TEST(Examination, OneThatHangsIsEnded) {
    const Script script("exec sleep 1000");
    Examination examination(script.path(), 100'000'000);
    examination.start();
    EXPECT_THAT(outcome(examination).trouble, HasSubstr("did not end in 100.00 ms"));
}

TEST(Examination, LeavesNoProcessAndNoDescriptor) {
    const Script good("exit 0"), hangs("exec sleep 1000");
    const std::size_t before = test::open_descriptors();
    for (const Script* script : {&good, &hangs}) {
        Examination examination(script->path(), examination_limit);
        examination.start();
        EXPECT_TRUE(examination.view());
        examination.start(); // while it looks there is nothing more to do
    }
    EXPECT_EQ(test::open_descriptors(), before);
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
}

} // namespace
} // namespace clearframe
