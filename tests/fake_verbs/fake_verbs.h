// libibverbs and librdmacm, with one RDMA device that is this process's own: its calls can be made
// to fail, its completions to lie. Linked before those libraries, whose calls it takes the place
// of. Writes are done when they are posted; connections reach the process itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>
#include <string>
#include <vector>

namespace clearframe::fake {

inline constexpr const char* device_name = "fake0";

// What kind of device it is. Set before it is opened.
struct Traits {
    bool takes_dma_bufs = true; // ibv_reg_dmabuf_mr()
    bool takes_mappings = true; // ibv_reg_mr()
    // IBV_DEVICE_CC_DMA_BOUNCE: mappings are refused, and queues made anywhere but on a parent
    // domain that lets them lie in shared memory.
    bool bounces = false;
    bool has_parent_domains = true; // of that kind
    bool moderates = true;          // ibv_modify_cq()
    bool allocates_dma_bufs = true; // ibv_alloc_buf(); otherwise ordinary memory
    std::uint32_t max_message = 1u << 30;
};

// Everything about it that a test may say or ask. Thread-safe, but for `lie` and `tamper`,
// which are called by whoever polls, and call nothing here.
class FakeVerbs {
public:
    // As it is in the beginning, with nothing open.
    void reset(const Traits& traits = {});

    // The call of that name fails so, from its `after`-th on: "ibv_reg_mr".
    void fail(const std::string& call, int error, std::uint32_t after = 0);
    bool has_failed() const; // since reset(), any

    // May change what a poll hands out; gets as many as were asked for, of which the first `count`
    // are filled, and returns what the poll is to.
    using Lie = std::function<int(std::vector<ibv_wc>& completions, int count)>;
    void lie(Lie lie);

    // May change an event of librdmacm, and what comes with it, when it is taken.
    using Tamper = std::function<void(rdma_cm_event& event, std::vector<std::byte>& data)>;
    void tamper(Tamper tamper);

    // An event of the device: it has failed, its port has.
    void raise(ibv_event_type event);

    // Every call that has been made so far, in order of first use.
    std::vector<std::string> calls() const;
    // How many writes each queue pair was given that is there now.
    std::vector<std::size_t> writes() const;
    // All that has been created and not been destroyed, of both libraries.
    std::size_t objects() const;
};
FakeVerbs& verbs();

} // namespace clearframe::fake
