// Programs that run beside a test: a receiver, for what sends to it.
#pragma once

#include "support/process.h"

#include <signal.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace clearframe::test {

// A program that runs beside the test.
class Beside {
public:
    // `shows`: what it prints once it is ready.
    Beside(Command command, std::string shows) {
        command.watch = [this, shows = std::move(shows)](const std::string& out, pid_t process) {
            const std::lock_guard lock(mutex_);
            process_ = process;
            out_ = out;
            if (out.find(shows) != std::string::npos)
                ready_ = true;
            news_.notify_all();
        };
        thread_ = std::jthread([this, command] {
            Finished finished = run(command);
            const std::lock_guard lock(mutex_);
            finished_ = std::move(finished);
            news_.notify_all();
        });
        std::unique_lock lock(mutex_);
        news_.wait(lock, [this] { return ready_ || finished_; });
    }

    // What it has printed, once `text` is part of it, or it has ended.
    std::string wait_for(const std::string& text) {
        std::unique_lock lock(mutex_);
        news_.wait(lock, [&] { return finished_ || out_.find(text) != std::string::npos; });
        return out_;
    }
    // Until `text` is part of it so many times, or it has ended.
    void wait_for_times(const std::string& text, int times) {
        std::unique_lock lock(mutex_);
        news_.wait(lock, [&] {
            int found = 0;
            for (std::size_t at = 0; (at = out_.find(text, at)) != std::string::npos; ++at)
                ++found;
            return finished_ || found >= times;
        });
    }
    void signal(int number) {
        const std::lock_guard lock(mutex_);
        if (!finished_)
            ::kill(process_, number);
    }
    pid_t process() {
        const std::lock_guard lock(mutex_);
        return process_;
    }
    const Finished& finish() {
        std::unique_lock lock(mutex_);
        news_.wait(lock, [this] { return finished_.has_value(); });
        return *finished_;
    }

private:
    std::mutex mutex_;
    std::condition_variable news_;
    std::string out_;
    pid_t process_ = 0;
    bool ready_ = false;
    std::optional<Finished> finished_;
    std::jthread thread_;
};

inline std::vector<std::string> with(std::vector<std::string> arguments,
                                     const std::vector<std::string>& more) {
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
}

// clearframe recv, on a port of its own.
class Receiver : public Beside {
public:
    // `how`: all of its command but the arguments.
    explicit Receiver(const std::vector<std::string>& options = {}, Command how = {})
        : Beside(with_arguments(std::move(how), with({"recv", "--listen", "127.0.0.1:0"}, options)),
                 "listening on ") {
        const std::string out = wait_for("listening on ");
        const std::size_t at = out.find("listening on ") + 13;
        address_ = out.substr(at, out.find(' ', at) - at);
    }
    const std::string& address() const { return address_; } // "127.0.0.1:40123"

private:
    static Command with_arguments(Command command, std::vector<std::string> arguments) {
        command.arguments = std::move(arguments);
        return command;
    }

    std::string address_;
};

} // namespace clearframe::test
