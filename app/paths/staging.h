// The path that a confidential VM takes today: the frame lies in private memory, the CPU copies it
// into shared memory for the NIC to send, and out again at the other end.
#pragma once

#include "paths/receive_memory.h"
#include "paths/table.h"

namespace clearframe {

std::uint64_t staging_memory(const PathParts& parts);

std::unique_ptr<SendPath> make_staging_send(const PathParts& parts, Endpoint& endpoint);
std::unique_ptr<ReceivePath> make_staging_receive(const PathParts& parts,
                                                  const ReceiveMemory& memory);

// The memory that a staging pool needs for `parts`: as much as may be in use at once, but no more
// than a full ring of frames can fill.
std::size_t staging_pool_bytes(const PathParts& parts);

} // namespace clearframe
