// One thread's loop of timers, file descriptors and posted work: the frame in which every daemon runs its cores.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/time.hh"

namespace base {

// Threads: run() is called by one thread, the loop thread. post() and stop() may be called by any; everything else
// only on the loop thread (or before run()). Callbacks run on the loop thread, never from inside the registering call.
class EventLoop {
  public:
    // Ends its timer or watch when destroyed; a callback that was already due is dropped too.
    class Registration {
      public:
        virtual ~Registration() = default;
    };
    using Handle = std::unique_ptr<Registration>;

    EventLoop();
    ~EventLoop();
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    // Returns after stop(). What is still posted then is dropped with the loop.
    void run();
    void stop();
    void post(std::function<void()> work);

    [[nodiscard]] Handle after(Duration delay, std::function<void()> work);
    // Level-triggered: called again as long as the descriptor is readable (writable). The descriptor must outlive it.
    [[nodiscard]] Handle watch_readable(int descriptor, std::function<void()> ready);
    [[nodiscard]] Handle watch_writable(int descriptor, std::function<void()> ready);
    // Replaces the default action of these signals for the process.
    [[nodiscard]] Handle on_signals(const std::vector<int>& signals, std::function<void(int signal)> arrived);
    bool on_loop_thread() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace base
