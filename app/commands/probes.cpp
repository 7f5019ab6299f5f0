#include "commands/probes.h"

#include "core/error.h"
#include "core/unique_fd.h"
#include "core/units.h"
#include "measure/doctor_record.h"

#include <fmt/format.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <utility>

namespace clearframe {
namespace {

// Waited for and, should it still run, killed by its destructor.
class Child {
public:
    explicit Child(const Probe& probe) : name_(probe.name) {
        std::array<int, 2> ends{-1, -1};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0)
            throw_errno(errno, fmt::format("probing {}: making a pipe", name_),
                        "Raise the limit of open files: ulimit -n");
        out_.reset(ends[0]);
        UniqueFd in(ends[1]);
        std::fflush(nullptr); // or the child has the text too
        const pid_t parent = ::getpid();
        pid_ = ::fork();
        if (pid_ < 0)
            throw_errno(errno, fmt::format("probing {}: starting a process", name_),
                        "Raise the limit of processes: ulimit -u");
        if (pid_ == 0)
            be_child(probe, in, parent);
    }
    Child(Child&& other) noexcept
        : name_(std::move(other.name_)),
          pid_(std::exchange(other.pid_, -1)),
          out_(std::move(other.out_)),
          text_(std::move(other.text_)) {}
    ~Child() {
        if (pid_ <= 0)
            return;
        ::kill(pid_, SIGKILL);
        // It closes its end of the pipe when it dies. One that hangs in the kernel does not die: it
        // is left to init.
        constexpr int dying_ms = 100;
        pollfd gone{.fd = out_.get(), .events = 0};
        const bool dead = !out_ || ::poll(&gone, 1, dying_ms) > 0;
        ::waitpid(pid_, nullptr, dead ? 0 : WNOHANG);
    }

    const std::string& name() const noexcept { return name_; }
    int fd() const noexcept { return out_.get(); } // -1 once all has been read

    void read() {
        std::array<char, 65536> piece;
        const ssize_t got = ::read(out_.get(), piece.data(), piece.size());
        if (got > 0)
            text_.append(piece.data(), static_cast<std::size_t>(got));
        else if (got == 0 || errno != EINTR)
            out_.reset();
    }

    // Once nothing more is to be read, or the time is up.
    Report report(Nanoseconds timeout) {
        if (out_)
            return trouble(fmt::format("did not end in {}", duration_text(double(timeout))),
                           "Try it with more --timeout; dmesg may say what hangs");
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        pid_ = -1;
        if (WIFSIGNALED(status))
            return trouble(
                fmt::format("crashed: {} ({})", signal_name(WTERMSIG(status)), WTERMSIG(status)),
                "A driver is broken: look for a newer one");
        try {
            return unpack(text_);
        } catch (const std::exception&) {
            return trouble(
                fmt::format("ended with status {}, without a report", WEXITSTATUS(status)),
                "dmesg may say why");
        }
    }

private:
    [[noreturn]] void be_child(const Probe& probe, const UniqueFd& in, pid_t parent) const {
        // Goes with its parent, however that ends.
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent)
            ::_exit(EXIT_FAILURE);
        Report report;
        try {
            report = probe.run();
        } catch (const Error& error) {
            report.findings.push_back(failed(name_, Health::missing, error));
        } catch (const std::exception& error) {
            report.findings.push_back({name_, Health::missing, error.what(), "dmesg may say why"});
        }
        const std::string text = pack(report);
        for (std::string_view rest = text; !rest.empty();) {
            const ssize_t written = ::write(in.get(), rest.data(), rest.size());
            if (written < 0 && errno != EINTR)
                ::_exit(EXIT_FAILURE);
            rest.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
        }
        ::_exit(EXIT_SUCCESS);
    }

    Report trouble(std::string sentence, std::string mend) const {
        return {{{name_, Health::missing, "the probe " + std::move(sentence), std::move(mend)}}};
    }

    static std::string signal_name(int signal) {
        const char* name = ::sigabbrev_np(signal);
        return name ? fmt::format("SIG{}", name) : "signal";
    }

    std::string name_;
    pid_t pid_ = -1;
    UniqueFd out_;
    std::string text_;
};

std::string names_of(const std::vector<Child>& children) {
    std::string names;
    for (const Child& child : children)
        if (child.fd() >= 0)
            names += fmt::format("{}{}", names.empty() ? "" : ", ", child.name());
    return names;
}

} // namespace

std::vector<Report> run_probes(std::span<const Probe> probes, Nanoseconds timeout,
                               const std::function<void(const std::string&)>& waiting) {
    constexpr int redraw_ms = 200;
    const Nanoseconds end = now() + timeout;
    std::vector<Child> children;
    children.reserve(probes.size());
    for (const Probe& probe : probes)
        children.emplace_back(probe);

    while (true) {
        std::vector<pollfd> fds;
        std::vector<Child*> open;
        for (Child& child : children)
            if (child.fd() >= 0) {
                fds.push_back({.fd = child.fd(), .events = POLLIN});
                open.push_back(&child);
            }
        const Nanoseconds left = end - now();
        if (fds.empty() || left <= 0)
            break;
        const int ready =
            ::poll(fds.data(), fds.size(),
                   static_cast<int>(std::min<Nanoseconds>(redraw_ms, left / 1'000'000 + 1)));
        if (ready == 0)
            waiting(names_of(children));
        for (std::size_t i = 0; ready > 0 && i < fds.size(); ++i)
            if (fds[i].revents != 0)
                open[i]->read();
    }

    std::vector<Report> reports;
    reports.reserve(children.size());
    for (Child& child : children)
        reports.push_back(child.report(timeout));
    return reports;
}

} // namespace clearframe
