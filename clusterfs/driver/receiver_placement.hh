// Where and how a receiving thread waits for its next request. A program that asks for one small thing after the other
// waits for each answer, so what it takes to wake somebody is most of the time. There are two ways to serve such a lone
// caller, and which is faster depends on what else runs: asleep on its processor, which no request then has to leave;
// or awake on another, where nobody has to be woken. Both are tried now and then, and the faster is kept. When others
// come, or when much data is copied, the thread sleeps wherever the scheduler puts it.
#pragma once

#include <cstdint>

#include "base/time.hh"

namespace clusterfs {

// Who asks. Knows requests only.
class CallerWatch {
  public:
    // A request was received: of which thread (0: of none, as what closes or forgets), and whether it moves much data.
    // Whether there is a lone caller of small things.
    bool received(std::uint32_t caller, bool is_large);

  private:
    std::uint32_t caller_ = 0;
    std::uint32_t score_ = 0;  // rises with each request of that caller, falls faster with others
    bool is_alone_ = false;
};

// Which way of waiting is the faster. Knows when requests came, and how many.
class WaitTrial {
  public:
    enum class Way { asleep_beside, awake_elsewhere };
    Way received(base::Instant now);

  private:
    enum class Stage { trying_asleep, trying_awake, settled };
    void next_stage(base::Duration took);

    Stage stage_ = Stage::trying_asleep;
    Way way_ = Way::asleep_beside;
    std::uint32_t count_ = 0;  // requests of this stage
    base::Instant began_;
    base::Instant last_;
    base::Duration asleep_took_;
};

// Of one thread, used on that alone.
class ReceiverPlacement {
  public:
    // Staying awake is for the only receiver of a mount: of several, others would be woken for nothing.
    explicit ReceiverPlacement(bool may_stay_awake) : may_stay_awake_(may_stay_awake) {}
    // What was read from the kernel: a FUSE request.
    void received(const void* request);
    // Until a request can be read, or until sleeping is better. Of /dev/fuse, whose read then waits.
    void wait(int descriptor) const;

  private:
    void follow(std::uint32_t caller);
    void leave();

    const bool may_stay_awake_;
    CallerWatch watch_;
    WaitTrial trial_;
    bool stays_awake_ = false;
    std::uint32_t followed_ = 0;  // requests since the caller was last followed; 0: it is not
};

}  // namespace clusterfs
