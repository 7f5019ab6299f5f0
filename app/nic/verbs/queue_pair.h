// One end of a connection: reliable connected queue pairs with one completion queue of their own.
//
// One queue pair, or several (qps=), which share the writes: those up to one with an immediate,
// that included, go over one queue pair in order, those after it over the next, round and round.
// Writes that are to be spread take turns of their own, which the peer need not know.
// Both ends count alike, so that completions are handed out in the order of posting whatever
// overtook what. What is written by different queue pairs is in no order.
#pragma once

#include "core/unique_fd.h"
#include "nic/verbs/connection.h"
#include "nic/verbs/device.h"
#include "nic/verbs/options.h"
#include "nic/verbs/port.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace clearframe::verbs {

class VerbsEndpoint final : public Endpoint {
public:
    // Not connected yet. Throws Error.
    VerbsEndpoint(const Device& device, const Port& port, const VerbsOptions& options,
                  std::uint32_t depth);
    VerbsEndpoint(const VerbsEndpoint&) = delete;
    VerbsEndpoint& operator=(const VerbsEndpoint&) = delete;
    ~VerbsEndpoint() override;

    std::size_t queue_pairs() const noexcept { return lanes_.size(); }
    std::uint32_t number(std::size_t lane) const { return lanes_[lane].queue_pair->qp_num; }

    // Two ends of one process. When one goes, the other's work is flushed, as a disconnect does
    // between hosts: the device alone would retry for long. Throws Error.
    static void connect(VerbsEndpoint& one, VerbsEndpoint& other);
    // Towards the peer of that connection, which has said so much of itself. Throws Error.
    void connect(const Connection& connection, const Greeting& peer);
    // Once it stands: who has left is known by it from now on.
    void keep(std::unique_ptr<Connection> connection) { connection_ = std::move(connection); }

    void post_receives(std::uint32_t count) override;
    std::size_t poll(std::span<Completion> completions) override;
    WaitResult wait(Nanoseconds timeout, std::uint32_t at_least) override;
    void wake() override;
    void cancel() override;

private:
    struct Lane {
        QueuePairHandle queue_pair;
        std::uint64_t sends_done = 0;   // number of the next send that can complete on it
        std::uint64_t next_receive = 0; // number of the receive that completes next on it
    };
    // A send or receive that has its place in a queue, by number in a ring.
    struct Work {
        std::uint64_t wr_id = 0; // its poster's
        std::uint32_t lane = 0;
        bool signaled = false; // its poster wants to hear of it
        bool told = false;     // the device was asked to tell of it
        bool done = false;
        bool silent = false; // done, and nothing to hand out
        Completion completion;
    };
    struct Tie;

    void bring_up(Lane& lane, ibv_qp_attr init, int init_mask, ibv_qp_attr receive,
                  int receive_mask, ibv_qp_attr send, int send_mask) const;
    void connect_lane(Lane& lane, std::uint32_t peer, const Port& port);
    void hang_up();
    void watch_connection();
    void post_receives_on(Lane& lane, std::uint64_t count);
    std::size_t do_post(std::span<const WriteRequest> requests) override;
    std::size_t post_chain(std::span<const WriteRequest> requests);
    std::size_t fetch();
    void take(const ibv_wc& work);
    void take_send(const ibv_wc& work, std::uint32_t lane);
    void take_receive(const ibv_wc& work, std::uint32_t lane);
    std::uint32_t lane_of(const ibv_wc& work) const;
    bool ready();
    Completion hand_out(Work& work, bool& broken);
    void ring_bell() noexcept;
    bool sleep(Nanoseconds deadline);
    void take_device_events();

    Work& send(std::uint64_t number) { return sends_[number % sends_.size()]; }
    Work& receive(std::uint64_t number) { return receives_[number % receives_.size()]; }

    const Device& device_;
    Port port_;
    bool spin_;
    UniqueFd bell_;                          // wake() and cancel() ring it
    std::unique_ptr<Connection> connection_; // to another process, or none
    CompletionChannel channel_;
    CompletionQueue completions_;
    std::vector<Lane> lanes_;

    std::vector<Work> sends_;
    std::uint64_t first_send_ = 0; // not yet handed out
    std::uint64_t next_send_ = 0;
    std::uint32_t lane_ = 0;        // that the next write takes
    std::uint32_t spread_lane_ = 0; // that the next one takes which is to be spread
    std::vector<Work> receives_;
    std::uint64_t first_receive_ = 0; // not yet handed out
    std::uint64_t next_receive_ = 0;
    bool failed_ = false;          // a completion said so
    bool sends_broken_ = false;    // one that was handed out
    bool receives_broken_ = false; // likewise

    std::vector<ibv_wc> fetched_;
    std::vector<ibv_send_wr> requests_; // what a chain is built of
    std::vector<ibv_sge> pieces_;
    std::vector<ibv_recv_wr> receive_requests_;

    std::shared_ptr<Tie> tie_;
    std::atomic<bool> hung_up_{false}; // by the other end
    std::atomic<bool> woken_{false};
    std::atomic<bool> cancelled_{false};
};

} // namespace clearframe::verbs
