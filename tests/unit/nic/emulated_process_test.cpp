// A peer in another process may go, or stop, at any moment.
#include "unit/nic/emulated_peer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

namespace clearframe::test {
namespace {

using testing::Each;

// peer_probe, killed at the latest when this goes.
class Probe {
public:
    Probe(const std::string& address, const ConnectionKey& key, std::vector<std::string> rest) {
        std::string digits;
        for (const std::byte byte : key) {
            constexpr char hex[] = "0123456789abcdef";
            digits += hex[static_cast<unsigned>(byte) >> 4];
            digits += hex[static_cast<unsigned>(byte) & 15];
        }
        std::vector<std::string> words = {CLEARFRAME_PEER_PROBE, address, digits};
        words.insert(words.end(), rest.begin(), rest.end());
        std::vector<char*> arguments;
        for (std::string& word : words)
            arguments.push_back(word.data());
        arguments.push_back(nullptr);
        int ends[2] = {-1, -1};
        EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
        out_.reset(ends[0]);
        const UniqueFd in(ends[1]);
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_adddup2(&actions, in.get(), STDOUT_FILENO);
        EXPECT_EQ(::posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ),
                  0);
        ::posix_spawn_file_actions_destroy(&actions);
    }
    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;
    ~Probe() { kill(); }

    void signal(int number) const { ::kill(pid_, number); }
    void kill() {
        if (pid_ <= 0)
            return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }

    // What it prints, up to the end of the line.
    std::string read_line() {
        std::string line;
        for (char c = 0; ::read(out_.get(), &c, 1) == 1 && c != '\n';)
            line += c;
        return line;
    }

private:
    UniqueFd out_;
    pid_t pid_ = 0;
};

class EmulatedPeerProcess : public EmulatedPeer {
protected:
    static constexpr std::size_t room = 8 << 20;

    void SetUp() override {
        target_.emplace(buffers_.target(*nic_, room));
        source_.emplace(buffers_.source(*nic_, room));
    }

    // A process that writes into target_, and has begun to.
    std::unique_ptr<Endpoint> let_writer_in(std::optional<Probe>& probe) {
        std::memset(target_->bytes().data(), 0xff, room);
        Accepting accepting(*listener_, key_);
        probe.emplace(listener_->address(), key_,
                      std::vector<std::string>{"write", std::to_string(target_->region->address()),
                                               std::to_string(target_->region->rkey()),
                                               std::to_string(room)});
        auto end = accepting.get();
        const Nanoseconds limit = now() + patience;
        while (first_byte() == std::byte{0xff} && now() < limit)
            std::this_thread::yield();
        return end;
    }

    std::byte first_byte() const {
        return *static_cast<const volatile std::byte*>(target_->bytes().data());
    }

    // Nothing writes any more.
    void expect_rest() {
        std::memset(target_->bytes().data(), 0xee, room);
        for (int i = 0; i < 20; ++i) {
            EXPECT_TRUE(all_are(target_->bytes(), std::byte{0xee}));
            std::this_thread::yield();
        }
    }

    std::optional<RegisteredBuffer> target_, source_;
};

TEST_F(EmulatedPeerProcess, KilledWhileItWritesItIsGone) {
    for (int round = 0; round < 5; ++round) {
        std::optional<Probe> probe;
        auto end = let_writer_in(probe);
        end->post_receives(2);
        probe->kill();
        EXPECT_THAT(statuses(reap(*end, 2)), Each(WcStatus::flushed));
        expect_rest();
        post_one(*end, message(1, 1));
        EXPECT_EQ(reap_one(*end).status, WcStatus::retry_exceeded);
    }
    Accepting accepting(*listener_, key_);
    expect_right_peer(accepting);
}

TEST_F(EmulatedPeerProcess, ClosedWhileItWritesItIsAtRest) {
    for (int round = 0; round < 5; ++round) {
        std::optional<Probe> probe;
        auto end = let_writer_in(probe);
        end.reset();
        expect_rest();
    }
}

TEST_F(EmulatedPeerProcess, KilledWhileItIsWrittenToTheWriteFails) {
    for (int round = 0; round < 5; ++round) {
        Accepting accepting(*listener_, key_);
        Probe probe(listener_->address(), key_, {"receive"});
        const auto end = accepting.get();
        WriteRequest request;
        request.local = source_->region.get();
        request.length = room;
        std::istringstream(probe.read_line()) >> request.remote_address >> request.rkey;
        const std::vector<WriteRequest> all(16, request);
        EXPECT_EQ(end->post(all), 16u);
        EXPECT_EQ(reap_one(*end).status, WcStatus::success);
        probe.kill();
        const std::vector<WcStatus> left = statuses(reap(*end, 15));
        // Some were done; of the others the first says why.
        const auto failed =
            std::ranges::find_if(left, [](WcStatus s) { return s != WcStatus::success; });
        if (failed != left.end()) {
            EXPECT_EQ(*failed, WcStatus::retry_exceeded);
            EXPECT_TRUE(std::all_of(failed + 1, left.end(),
                                    [](WcStatus s) { return s == WcStatus::flushed; }));
        }
        post_one(*end, message(1, 1));
        EXPECT_NE(reap_one(*end).status, WcStatus::success);
    }
}

TEST_F(EmulatedPeerProcess, StoppedItHoldsUpClosingForABoundedTime) {
    std::optional<Probe> probe;
    auto end = let_writer_in(probe);
    probe->signal(SIGSTOP);
    end.reset();
    Accepting accepting(*listener_, key_);
    expect_right_peer(accepting);
}

TEST_F(EmulatedPeer, NothingIsLeftOfManyConnections) {
    const auto far_nic = open_nic("emulated");
    const RegisteredBuffer source = buffers_.source(*nic_, 100'000);
    std::vector<RegisteredBuffer> targets;
    for (int i = 0; i < 8; ++i)
        targets.push_back(buffers_.target(*far_nic, 100'000));
    const auto connect = [&](int i) {
        EndpointPair ends = connect_listed(*nic_, *far_nic, 16);
        ends.receiver->post_receives(1);
        post_one(*ends.sender, write_request(1, source, 0, 100'000, targets[0], 0, 1));
        EXPECT_EQ(reap_one(*ends.sender).status, WcStatus::success);
        (i % 2 ? ends.sender : ends.receiver).reset();
    };
    connect(0);
    const std::size_t fds = open_descriptors(), maps = mappings(), tasks = threads();
    for (int i = 0; i < 200; ++i)
        connect(i);
    EXPECT_EQ(open_descriptors(), fds);
    EXPECT_EQ(mappings(), maps);
    EXPECT_EQ(threads(), tasks);
}

} // namespace
} // namespace clearframe::test
