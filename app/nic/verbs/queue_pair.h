// One end of a connection: a reliable connected queue pair with a completion queue of its own.
#pragma once

#include "core/unique_fd.h"
#include "nic/verbs/device.h"
#include "nic/verbs/options.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace clearframe::verbs {

// How a port is reached, and by which of its addresses.
struct Port {
    std::uint8_t number = 1;
    std::uint8_t gid_index = 0;
    bool ethernet = false; // RoCE: addressed by GID; otherwise by LID
    std::uint16_t lid = 0;
    ibv_gid gid{};
    ibv_mtu mtu = IBV_MTU_1024;
    std::uint32_t max_message = 0; // bytes
};

class VerbsEndpoint final : public Endpoint {
public:
    // Not connected yet. Throws Error.
    VerbsEndpoint(const Device& device, const Port& port, const VerbsOptions& options,
                  std::uint32_t depth);
    VerbsEndpoint(const VerbsEndpoint&) = delete;
    VerbsEndpoint& operator=(const VerbsEndpoint&) = delete;
    ~VerbsEndpoint() override;

    std::uint32_t number() const noexcept { return queue_pair_->qp_num; }
    // Brings the queue pair up, towards that one on `port`. Throws Error.
    void connect(std::uint32_t peer, const Port& port);
    // Two ends of one process: when one goes, the other's work is flushed, as a disconnect does
    // between hosts. The device alone would retry for long.
    static void tie(VerbsEndpoint& one, VerbsEndpoint& other);

    void post_receives(std::uint32_t count) override;
    std::size_t poll(std::span<Completion> completions) override;
    WaitResult wait(Nanoseconds timeout, std::uint32_t at_least) override;
    void wake() override;
    void cancel() override;

private:
    // A send that has its place in the queue.
    struct Send {
        std::uint64_t wr_id = 0; // its poster's
        bool signaled = false;
    };

    struct Tie;

    void hang_up();
    std::size_t do_post(std::span<const WriteRequest> requests) override;
    std::size_t post_chain(std::span<const WriteRequest> requests);
    void fetch();
    Completion checked(const ibv_wc& work);
    void take_send(const ibv_wc& work, Completion& completion);
    void ring_bell() noexcept;
    bool sleep(Nanoseconds deadline);
    void take_device_events();

    const Device& device_;
    Port port_;
    bool spin_;
    UniqueFd bell_; // wake() and cancel() ring it
    CompletionChannel channel_;
    CompletionQueue completions_;
    QueuePairHandle queue_pair_;

    std::vector<Send> sends_; // a ring, by number
    std::uint64_t first_send_ = 0;
    std::uint64_t next_send_ = 0;
    std::uint32_t receives_ = 0; // posted, not yet polled
    bool failed_ = false;        // a completion said so

    std::vector<ibv_wc> fetched_; // not yet polled, from first_fetched_ on
    std::size_t first_fetched_ = 0;
    std::size_t fetched_count_ = 0;

    std::vector<ibv_send_wr> requests_; // what a chain is built of
    std::vector<ibv_sge> pieces_;
    std::vector<ibv_recv_wr> receive_requests_;

    std::shared_ptr<Tie> tie_;
    std::atomic<bool> hung_up_{false}; // by the other end
    std::atomic<bool> woken_{false};
    std::atomic<bool> cancelled_{false};
};

} // namespace clearframe::verbs
