// Files for what was measured.
#pragma once

#include "core/unique_fd.h"

#include <string>
#include <string_view>

namespace clearframe {

// A file that is written whole or not at all: opened (as a temporary file beside its name) before
// a long run, so that a place that cannot be written is known at the start. What the file held
// before stays until the new text is on storage. Used by one thread.
class ResultFile {
public:
    // "-" is standard output; a path that exists and is no regular file (a pipe, /dev/full) is
    // opened and written directly, where opening a FIFO waits for its reader; a symbolic link is
    // followed. Throws Error: usage for an empty name, unavailable for a place that cannot
    // be written.
    explicit ResultFile(const std::string& path);
    ResultFile(ResultFile&& other) noexcept;
    ~ResultFile(); // removes the temporary file if there is one

    // Writes `text`, flushes it to storage and gives the file its name; or throws Error (disk
    // full) and leaves nothing behind. Ends the object's use either way, hence
    // `std::move(file).commit(text)`. May block: storage, a pipe's reader. A pipe without a reader
    // is an Error as long as the program ignores SIGPIPE.
    void commit(std::string_view text) &&;

private:
    std::string name_;      // for messages
    std::string target_;    // the regular file to be; empty where written directly
    std::string temporary_; // as long as it exists
    UniqueFd fd_;
};

} // namespace clearframe
