// Generation identifiers: which history of writes a replica has seen. DRBD's rules (docs/format/blockrep-metadata.md).
#pragma once

#include <array>
#include <cstdint>

namespace blockrep {

// A random number for one history of writes. 0: none.
using GenerationId = std::uint64_t;
inline constexpr GenerationId just_created = 4;  // made by create-md, never written

struct Generations {
    GenerationId current = 0;
    GenerationId bitmap = 0;  // current of the peer when it was last in sync; 0: nothing was written without it
    std::array<GenerationId, 4> history{};  // newest first; 0: none

    // The present bitmap generation becomes history; nothing to do when there is none.
    void retire_bitmap() {
        if (bitmap == 0) return;
        for (auto i = history.size() - 1; i > 0; --i) history[i] = history[i - 1];
        history[0] = bitmap;
        bitmap = 0;
    }
    bool operator==(const Generations&) const = default;
};

}  // namespace blockrep
