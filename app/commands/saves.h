// What a window says and stores for its user while it is open.
#pragma once

#include "ui/picture.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace clearframe {

// As a PNG file.
std::string encode(const Picture& picture);

// Where the keys S and F12 save to. Used by one thread.
class Saves {
public:
    // The present directory if none is named. Throws Error for a place that was named and where no
    // file can be made.
    explicit Saves(const std::optional<std::string>& place);

    // What to say about it: that it was saved, or why not.
    std::string save(std::string_view what, std::string_view ending,
                     const std::string& contents) const;

private:
    std::string name(std::string_view ending) const;

    std::string place_;
};

// What was just done for the user, for a few seconds. Used by one thread.
class Notice {
public:
    void say(std::string text, double time_s);
    std::string at(double time_s) const { return time_s < until_s_ ? text_ : ""; }

private:
    std::string text_;
    double until_s_ = 0;
};

// Frames within which the window's layout settles: the panel finds out where the views are, the
// frames are drawn there, and what hangs on the pointer follows.
inline constexpr int least_drawn = 3;

// Throws Error if the validation layers had anything to say, `complaints` times.
void check_validation(std::uint64_t complaints);

} // namespace clearframe
