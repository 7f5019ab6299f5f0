// The path with nothing on it: the NIC sends the very memory that the GPU rendered into.
#pragma once

#include "paths/receive_memory.h"
#include "paths/table.h"

namespace clearframe {

std::uint64_t zero_copy_memory(const PathParts& parts);

std::unique_ptr<SendPath> make_zero_copy_send(const PathParts& parts, Endpoint& endpoint);
std::unique_ptr<ReceivePath> make_zero_copy_receive(const PathParts& parts,
                                                    const ReceiveMemory& memory);

} // namespace clearframe
