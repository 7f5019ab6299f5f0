// What the tests of memory/ share.
#pragma once

#include "support/files.h"

#include <gtest/gtest.h>

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace clearframe::test {

// Sets a soft limit of this process until the end of the scope.
class ResourceLimit {
public:
    ResourceLimit(__rlimit_resource resource, rlim_t limit) : resource_(resource) {
        getrlimit(resource_, &before_);
        rlimit changed = before_;
        changed.rlim_cur = limit;
        setrlimit(resource_, &changed);
    }
    ResourceLimit(const ResourceLimit&) = delete;
    ResourceLimit& operator=(const ResourceLimit&) = delete;
    ~ResourceLimit() { setrlimit(resource_, &before_); }

private:
    __rlimit_resource resource_;
    rlimit before_{};
};

// No further descriptor can be had until the end of the scope.
class NoDescriptors {
    static rlim_t lowest_free() {
        const int fd = dup(STDERR_FILENO);
        close(fd);
        return static_cast<rlim_t>(fd);
    }
    ResourceLimit limit_{RLIMIT_NOFILE, lowest_free()};
};

// No file, and no memfd, grows beyond `bytes` until the end of the scope.
class FileSizeLimit {
public:
    explicit FileSizeLimit(rlim_t bytes)
        : handler_(signal(SIGXFSZ, SIG_IGN)), limit_(RLIMIT_FSIZE, bytes) {}
    FileSizeLimit(const FileSizeLimit&) = delete;
    FileSizeLimit& operator=(const FileSizeLimit&) = delete;
    ~FileSizeLimit() { signal(SIGXFSZ, handler_); }

private:
    sighandler_t handler_;
    ResourceLimit limit_;
};

// Becomes "nobody" until the end of the scope, where it may.
class Unprivileged {
public:
    Unprivileged() { changed_ = geteuid() == 0 && seteuid(65534) == 0; }
    Unprivileged(const Unprivileged&) = delete;
    Unprivileged& operator=(const Unprivileged&) = delete;
    ~Unprivileged() {
        if (changed_ && seteuid(0) != 0)
            std::abort();
    }

private:
    bool changed_;
};

// A directory that stands in for "/": a picture of another machine.
class Machine {
public:
    Machine() {
        std::string name = (std::filesystem::temp_directory_path() / "machine-XXXXXX").string();
        if (!mkdtemp(name.data()))
            throw std::filesystem::filesystem_error("mkdtemp", name, std::error_code());
        root_ = name;
        std::filesystem::permissions(root_, std::filesystem::perms(0755));
    }
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;
    ~Machine() { std::filesystem::remove_all(root_); }

    const std::filesystem::path& root() const { return root_; }

    Machine& file(const std::filesystem::path& path, std::string_view content = {}) {
        std::filesystem::create_directories((root_ / path).parent_path());
        std::ofstream(root_ / path) << content;
        return *this;
    }
    Machine& cpu_flags(std::string_view flags) {
        return file("proc/cpuinfo", "processor\t: 0\nmodel name\t: a CPU\nflags\t\t: " +
                                        std::string(flags) + "\nbugs\t\t:\n");
    }
    Machine& kernel(std::string_view release) {
        return file("proc/sys/kernel/osrelease", std::string(release) + "\n");
    }

private:
    std::filesystem::path root_;
};

} // namespace clearframe::test
