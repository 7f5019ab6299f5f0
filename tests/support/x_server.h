// An X server of a test's own: Xvfb, whose screen is memory.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace clearframe::test {

// What is on a screen: rows of 0xRRGGBB.
struct Screen {
    std::uint32_t width = 0, height = 0;
    std::vector<std::uint32_t> rgb;
    std::uint32_t at(std::uint32_t x, std::uint32_t y) const {
        return rgb[std::size_t{y} * width + x];
    }
};

// Runs as long as this lives, on a display number that was free; ends with the test's process.
class XServer {
public:
    // Throws std::system_error when it cannot be started, std::runtime_error when it ends at once.
    XServer(std::uint32_t width, std::uint32_t height);
    ~XServer();
    XServer(const XServer&) = delete;
    XServer& operator=(const XServer&) = delete;

    static bool is_installed();

    const std::string& display() const noexcept { return display_; } // ":3", for DISPLAY
    // What it shows at this moment. Needs no connection: the screen is a file.
    Screen screen() const;
    // Asks the window with this title to close, as its close button does. False without one.
    bool close_window(const std::string& title) const;
    // Sets what a desktop sets for a monitor of so many dots an inch. Clients ask when they start.
    void set_dpi(int dpi) const;
    // Dies at once, as by a crash; its clients find out.
    void kill();

private:
    pid_t pid_ = -1;
    std::string directory_; // of the screen's file
    std::string display_;
};

} // namespace clearframe::test
