// The doctor beside something else: `clearframe doctor` in a process of its own.
#pragma once

#include "core/clock.h"
#include "core/event.h"
#include "measure/doctor_record.h"

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace clearframe {

// A fork of this process could find the locks of its other threads held, so the program is started
// anew, and what it reports is read on a thread (cf-doctor). Used by one thread.
class Examination {
public:
    // `program` is run as `PROGRAM doctor --quiet --json -`: this one but in tests. It is ended
    // after `timeout`, which leaves the doctor time enough to give up on drivers that hang.
    explicit Examination(std::string program = "/proc/self/exe",
                         Nanoseconds timeout = 15'000'000'000);
    // Ends the process if it still runs.
    ~Examination();
    Examination(const Examination&) = delete;
    Examination& operator=(const Examination&) = delete;

    // Has the doctor look anew, unless it is looking. Does not wait for it, nor throw: what goes
    // wrong is in the view.
    void start();

    // What is known by now; nothing before the first start().
    std::optional<DoctorView> view() const;

private:
    void look(const Event& stop);
    void publish(DoctorView view);

    const std::string program_;
    const Nanoseconds timeout_;
    mutable std::mutex mutex_; // guards view_
    std::optional<DoctorView> view_;
    std::unique_ptr<Event> stop_; // of the present thread
    std::jthread thread_;
};

} // namespace clearframe
