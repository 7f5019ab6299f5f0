#include "support/x_server.h"

#include "core/unique_fd.h"

#include <X11/Xatom.h>
#include <X11/Xlib.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>

namespace clearframe::test {
namespace {

constexpr const char* program = "/usr/bin/Xvfb";
constexpr int patience_ms = 60'000;

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

// What the server writes to its end of a pipe once it takes clients: its display's number.
std::string read_number(int fd) {
    std::string text;
    pollfd wait{fd, POLLIN, 0};
    while (text.find('\n') == std::string::npos) {
        char byte = 0;
        if (::poll(&wait, 1, patience_ms) <= 0 || ::read(fd, &byte, 1) != 1)
            throw std::runtime_error("Xvfb did not start");
        text += byte;
    }
    text.pop_back();
    return text;
}

// The Nth 32-bit number of an XWD file's header.
std::uint32_t field(const std::string& file, std::size_t n) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i)
        value = value << 8 | static_cast<std::uint8_t>(file.at(4 * n + i));
    return value;
}

using Connection = std::unique_ptr<::Display, int (*)(::Display*)>;

Connection connect(const std::string& display) {
    Connection connection(::XOpenDisplay(display.c_str()), ::XCloseDisplay);
    if (!connection)
        throw std::runtime_error("cannot connect to Xvfb");
    return connection;
}

bool has_title(::Display* connection, Window window, const std::string& title) {
    char* name = nullptr;
    if (!::XFetchName(connection, window, &name) || !name)
        return false;
    const bool has = title == name;
    ::XFree(name);
    return has;
}

} // namespace

bool XServer::is_installed() { return ::access(program, X_OK) == 0; }

XServer::XServer(std::uint32_t width, std::uint32_t height) {
    std::string pattern = (std::filesystem::temp_directory_path() / "screen-XXXXXX").string();
    if (!::mkdtemp(pattern.data()))
        fail("mkdtemp");
    directory_ = pattern;
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        fail("pipe2");
    const UniqueFd number(ends[0]);
    UniqueFd number_out(ends[1]);
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    const std::string size = std::to_string(width) + "x" + std::to_string(height) + "x24";
    const std::array<const char*, 14> arguments = {
        program,     "-displayfd", "3",        "-screen",
        "0",         size.c_str(), "-fbdir",   directory_.c_str(),
        "-nolisten", "tcp",        "-noreset", "-dpi",
        "96",        nullptr};
    pid_ = ::fork();
    if (pid_ < 0)
        fail("fork");
    if (pid_ == 0) { // only what is safe between fork and exec
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::dup2(null.get(), 0) < 0 || ::dup2(null.get(), 1) < 0 || ::dup2(null.get(), 2) < 0 ||
            ::dup2(number_out.get(), 3) < 0)
            ::_exit(127);
        ::fcntl(3, F_SETFD, 0); // where it was that already
        ::execv(program, const_cast<char* const*>(arguments.data()));
        ::_exit(127);
    }
    number_out.reset();
    try {
        display_ = ":" + read_number(number.get());
    } catch (...) {
        kill();
        throw;
    }
}

XServer::~XServer() {
    if (pid_ > 0) {
        ::kill(pid_, SIGTERM); // it removes its lock and socket
        ::waitpid(pid_, nullptr, 0);
    }
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

void XServer::kill() {
    if (pid_ <= 0)
        return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
    // What it can no longer remove itself.
    std::error_code ignored;
    if (!display_.empty()) {
        std::filesystem::remove("/tmp/.X" + display_.substr(1) + "-lock", ignored);
        std::filesystem::remove("/tmp/.X11-unix/X" + display_.substr(1), ignored);
    }
}

bool XServer::close_window(const std::string& title) const {
    const Connection connection = connect(display_);
    Window root = 0;
    Window parent = 0;
    Window* children = nullptr;
    unsigned int count = 0;
    ::XQueryTree(connection.get(), DefaultRootWindow(connection.get()), &root, &parent, &children,
                 &count);
    bool found = false;
    for (unsigned int i = 0; i < count && !found; ++i) {
        if (!has_title(connection.get(), children[i], title))
            continue;
        found = true;
        XEvent event{};
        event.xclient.type = ClientMessage;
        event.xclient.window = children[i];
        event.xclient.message_type = ::XInternAtom(connection.get(), "WM_PROTOCOLS", False);
        event.xclient.format = 32;
        event.xclient.data.l[0] =
            static_cast<long>(::XInternAtom(connection.get(), "WM_DELETE_WINDOW", False));
        event.xclient.data.l[1] = CurrentTime;
        ::XSendEvent(connection.get(), children[i], False, NoEventMask, &event);
    }
    ::XFree(children);
    ::XSync(connection.get(), False);
    return found;
}

void XServer::set_dpi(int dpi) const {
    const Connection connection = connect(display_);
    const std::string text = "Xft.dpi: " + std::to_string(dpi) + "\n";
    ::XChangeProperty(connection.get(), DefaultRootWindow(connection.get()), XA_RESOURCE_MANAGER,
                      XA_STRING, 8, PropModeReplace,
                      reinterpret_cast<const unsigned char*>(text.data()),
                      static_cast<int>(text.size()));
    ::XSync(connection.get(), False);
}

Screen XServer::screen() const {
    std::ifstream in(directory_ + "/Xvfb_screen0", std::ios::binary);
    const std::string file((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    // XWDFile.h: the fields of its header, then `ncolors` colours of 12 bytes each, then the rows.
    const std::uint32_t header = field(file, 0);
    const std::uint32_t stride = field(file, 12);
    const std::uint32_t colours = field(file, 19);
    Screen screen{.width = field(file, 4), .height = field(file, 5), .rgb = {}};
    const std::size_t start = header + std::size_t{12} * colours;
    if (field(file, 11) != 32 || file.size() < start + std::size_t{stride} * screen.height)
        throw std::runtime_error("Xvfb's screen is not one of 32 bits a pixel");
    screen.rgb.resize(std::size_t{screen.width} * screen.height);
    for (std::uint32_t y = 0; y < screen.height; ++y)
        std::memcpy(&screen.rgb[std::size_t{y} * screen.width],
                    file.data() + start + std::size_t{y} * stride, std::size_t{4} * screen.width);
    for (std::uint32_t& pixel : screen.rgb)
        pixel &= 0xffffff;
    return screen;
}

} // namespace clearframe::test
