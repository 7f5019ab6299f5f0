// Probes that end well, and all the ways in which they do not.
#include "commands/probes.h"
#include "core/error.h"
#include "support/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

namespace clearframe {
namespace {

using test::open_descriptors;
using testing::HasSubstr;

constexpr Nanoseconds long_enough = 60'000'000'000;

std::vector<Report> run(std::vector<Probe> probes, Nanoseconds timeout = long_enough) {
    return run_probes(probes, timeout, [](const std::string&) {});
}

Report good() { return {{{"x", Health::good, "well", ""}}, {}, {}}; }

void expect_trouble(const Report& report, std::string_view name, std::string_view sentence) {
    ASSERT_EQ(report.findings.size(), 1u);
    EXPECT_EQ(report.findings[0].subject, name);
    EXPECT_EQ(report.findings[0].health, Health::missing);
    EXPECT_THAT(report.findings[0].sentence, HasSubstr(sentence));
}

TEST(Probes, ReportInOrder) {
    const std::vector<Report> reports =
        run({{"a", good}, {"b", [] {
                               return Report{{{"y", Health::attention, "so so", "do"}}};
                           }}});
    ASSERT_EQ(reports.size(), 2u);
    EXPECT_EQ(reports[0].findings.at(0).sentence, "well");
    EXPECT_EQ(reports[1].findings.at(0).mend, "do");
}

TEST(Probes, ALargeReportComesWhole) {
    const std::vector<Report> reports =
        run({{"large", [] {
                  Report report;
                  for (int i = 0; i < 5000; ++i)
                      report.trials.push_back({"heap", std::to_string(i), std::string(100, 'e')});
                  return report;
              }}});
    EXPECT_EQ(reports.at(0).trials.size(), 5000u);
    EXPECT_EQ(reports[0].trials.back().importer, "4999");
}

TEST(Probes, OneThatCrashesIsAFinding) {
    const std::vector<Report> reports = run({{"crash",
                                              []() -> Report {
                                                  ::signal(SIGABRT, SIG_DFL);
                                                  ::raise(SIGKILL);
                                                  std::abort();
                                              }},
                                             {"good", good}});
    expect_trouble(reports.at(0), "crash", "crashed: SIGKILL (9)");
    EXPECT_EQ(reports.at(1).findings.at(0).sentence, "well");
}

TEST(Probes, OneThatThrowsIsAFinding) {
    const std::vector<Report> reports = run(
        {{"error", []() -> Report { throw Error(Failure::run, "opening x", "E (1)", "Mend it"); }},
         {"other", []() -> Report { throw std::runtime_error("something else"); }}});
    expect_trouble(reports.at(0), "error", "opening x: E (1)");
    EXPECT_EQ(reports[0].findings[0].mend, "Mend it");
    expect_trouble(reports.at(1), "other", "something else");
}

TEST(Probes, OneThatExitsIsAFinding) {
    const std::vector<Report> reports = run({{"exit", []() -> Report { ::_exit(7); }}});
    expect_trouble(reports.at(0), "exit", "ended with status 7, without a report");
}

TEST(Probes, OneThatHangsIsKilled) {
    std::string waited_for;
    const std::vector<Probe> probes{{"hang",
                                     []() -> Report {
                                         while (true)
                                             ::pause();
                                     }},
                                    {"good", good}};
    const std::vector<Report> reports =
        run_probes(probes, 700'000'000, [&](const std::string& names) { waited_for = names; });
    expect_trouble(reports.at(0), "hang", "did not end in 700.00 ms");
    EXPECT_THAT(reports[0].findings[0].mend, HasSubstr("--timeout"));
    EXPECT_EQ(reports.at(1).findings.at(0).sentence, "well");
    EXPECT_THAT(waited_for, HasSubstr("hang"));
}

TEST(Probes, LeaveNoProcessAndNoDescriptor) {
    const std::size_t before = open_descriptors();
    run({{"good", good}, {"exit", []() -> Report { ::_exit(0); }}});
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
}

TEST(Probes, NoDescriptorLeftIsAnError) {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    const int lowest = dup(STDERR_FILENO);
    close(lowest);
    rlimit none = limit;
    none.rlim_cur = static_cast<rlim_t>(lowest);
    setrlimit(RLIMIT_NOFILE, &none);
    std::string text;
    try {
        run({{"good", good}});
    } catch (const Error& error) {
        text = error.what();
    }
    setrlimit(RLIMIT_NOFILE, &limit);
    EXPECT_THAT(text, testing::AllOf(HasSubstr("EMFILE"), HasSubstr("ulimit -n")));
}

} // namespace
} // namespace clearframe
