// The other end of a stream, in words and in the record.
#pragma once

#include "measure/record.h"
#include "pipeline/remote_stream.h"

#include <initializer_list>
#include <span>
#include <vector>

namespace clearframe {

// What this end says of itself.
Introduction introduction_of(const RunRecord& record);

// What the other end said of its parts, those that it has; `kinds` in the order of `parts`.
std::vector<Part> peer_parts(std::initializer_list<const char*> kinds,
                             std::span<const PeerPart> parts);

} // namespace clearframe
