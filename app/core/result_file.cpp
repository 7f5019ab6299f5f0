#include "core/result_file.h"

#include "core/error.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

namespace clearframe {
namespace {

namespace fs = std::filesystem;

std::string advice(int error, const fs::path& directory) {
    std::error_code ignored;
    if ((error == ENOENT || error == ENOTDIR) && !fs::is_directory(directory, ignored))
        return fmt::format("There is no directory {}", directory.string());
    switch (error) {
    case EISDIR:
        return "Name a file in it";
    case EACCES:
    case EPERM:
    case EROFS:
        return "Name a file in a directory that you may write to";
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return "Make room there or name a file elsewhere";
    case EPIPE:
        return "Its reader ended too early";
    default:
        return "Name another file";
    }
}

// Where a name leads, whether there is a file yet or not: a rename onto a link would replace the
// link. Ends, since the caller has had the kernel follow it.
fs::path followed(fs::path path) {
    while (fs::is_symlink(path))
        path = path.parent_path() / fs::read_symlink(path);
    return path;
}

// 0 or an errno.
int write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(fd, text.data(), text.size());
        if (written >= 0)
            text.remove_prefix(static_cast<std::size_t>(written));
        else if (errno == EAGAIN) { // somebody has made standard output non-blocking
            pollfd writable{fd, POLLOUT, 0};
            ::poll(&writable, 1, -1);
        } else if (errno != EINTR)
            return errno;
    }
    return 0;
}

} // namespace

ResultFile::ResultFile(const std::string& path)
    : name_(path == "-" ? "standard output" : fmt::format("result file {}", path)) {
    const auto cannot_open = [&](int error, const fs::path& directory) {
        throw_errno(error, fmt::format("{}: cannot be opened for writing", name_),
                    advice(error, directory), Failure::unavailable);
    };
    if (path.empty())
        throw Error(Failure::usage, "result file: the name is empty", {},
                    "Name a file, or - for standard output");
    if (path == "-") {
        fd_.reset(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
        if (!fd_)
            cannot_open(errno, {});
        if ((::fcntl(fd_.get(), F_GETFL) & O_ACCMODE) == O_RDONLY)
            cannot_open(EBADF, {});
        return;
    }

    struct stat status {};
    const bool exists = ::stat(path.c_str(), &status) == 0;
    if (!exists && errno != ENOENT)
        cannot_open(errno, fs::path(path).parent_path());
    if (exists && !S_ISREG(status.st_mode)) {
        fd_.reset(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
        if (!fd_)
            cannot_open(errno, {});
        return;
    }
    // A rename asks for rights in the directory alone, and a file protected from writing is not
    // to be replaced either.
    if (exists && ::access(path.c_str(), W_OK) != 0)
        cannot_open(errno, {});

    const fs::path target = followed(path);
    const fs::path directory = target.has_parent_path() ? target.parent_path() : ".";
    target_ = target.string();
    for (unsigned attempt = 0; !fd_; ++attempt) {
        temporary_ = directory / fmt::format(".clearframe-{}-{}.tmp", ::getpid(), attempt);
        fd_.reset(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
        if (const int error = errno; !fd_ && error != EEXIST) {
            temporary_.clear();
            cannot_open(error, directory);
        }
    }
}

ResultFile::ResultFile(ResultFile&& other) noexcept
    : name_(std::move(other.name_)),
      target_(std::move(other.target_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::move(other.fd_)) {}

ResultFile::~ResultFile() {
    if (!temporary_.empty())
        ::unlink(temporary_.c_str());
}

void ResultFile::commit(std::string_view text) && {
    ResultFile file(std::move(*this)); // goes, and its temporary with it, however this ends
    int error = write_all(file.fd_.get(), text);
    if (!error && !file.target_.empty()) {
        if (::fsync(file.fd_.get()) != 0 ||
            ::rename(file.temporary_.c_str(), file.target_.c_str()) != 0)
            error = errno;
        else
            file.temporary_.clear();
    }
    if (error)
        throw_errno(error, fmt::format("{}: cannot be written", file.name_),
                    advice(error, fs::path(file.target_).parent_path()));
}

} // namespace clearframe
