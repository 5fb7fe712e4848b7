// Where a receiving thread runs. A program that asks for one small thing after the other waits for each answer: if the
// receiver runs on another processor, each request has to be carried there and back, past whatever runs there. So the
// receiver goes to the processor of a lone caller, and back to wherever the scheduler puts it when others come, or when
// much data is copied, which is better done beside the caller than in turns with it. On a busy machine it more than
// doubles the speed. Where another processor is idle the scheduler may move the caller away again: nothing is gained
// then (docs/PERFORMANCE.md).
#pragma once

#include <cstdint>

namespace clusterfs {

// When to go where. Knows requests only.
class CallerWatch {
  public:
    enum class Step {
        stay,
        follow,  // to the processor that the caller of this request was last seen on
        leave,   // to any
    };
    // A request was received: of which thread (0: of none, as what closes or forgets), and whether it moves much data.
    Step received(std::uint32_t caller, bool is_large);

  private:
    std::uint32_t caller_ = 0;
    std::uint32_t score_ = 0;     // rises with each request of that caller, falls faster with others
    std::uint32_t followed_ = 0;  // requests since it was last followed; 0: it is not
};

// Of one thread, used on that alone.
class ReceiverPlacement {
  public:
    // What was read from the kernel: a FUSE request.
    void received(const void* request);

  private:
    static void follow(std::uint32_t caller);
    static void leave();

    CallerWatch watch_;
};

}  // namespace clusterfs
