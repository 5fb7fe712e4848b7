#include "base/io/event_loop.hh"

#include <fcntl.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <thread>

#include "base/ensure.hh"
#include "base/io/cpu_latency.hh"

namespace base {
namespace asio = boost::asio;

struct EventLoop::State {
    asio::io_context context{1};
    asio::executor_work_guard<asio::io_context::executor_type> stay = asio::make_work_guard(context);
    std::atomic<std::thread::id> thread{};
};

namespace {

// Handlers hold the shared half; the registration's death makes them void.
class TimerRegistration : public EventLoop::Registration {
  public:
    TimerRegistration(asio::io_context& context, Duration delay, std::function<void()> work) : timer_(context) {
        timer_.expires_after(std::chrono::nanoseconds(delay.nanoseconds));
        timer_.async_wait([alive = std::weak_ptr<int>(alive_), work = std::move(work)](boost::system::error_code ec) {
            if (!ec && alive.lock()) work();
        });
    }

  private:
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);
    asio::steady_timer timer_;
};

class WatchRegistration : public EventLoop::Registration {
  public:
    using Wait = asio::posix::stream_descriptor::wait_type;
    WatchRegistration(asio::io_context& context, int descriptor, Wait wait, std::function<void()> ready)
        : shared_(std::make_shared<Shared>(context, descriptor, wait, std::move(ready))) {
        Shared::arm(shared_);
    }
    ~WatchRegistration() override {
        shared_->ended = true;
        shared_->descriptor.close();
    }

  private:
    struct Shared {
        Shared(asio::io_context& context, int raw, Wait how, std::function<void()> callback)
            : descriptor(context, duplicate(raw)), wait(how), ready(std::move(callback)) {}
        // epoll takes a descriptor once only: reading and writing are watched on duplicates.
        static int duplicate(int raw) {
            const int copy = ::fcntl(raw, F_DUPFD_CLOEXEC, 0);
            ensure(copy >= 0, "no file descriptor left to watch with");
            return copy;
        }
        static void arm(const std::shared_ptr<Shared>& shared) {
            shared->descriptor.async_wait(shared->wait, [shared](boost::system::error_code ec) {
                if (ec || shared->ended) return;
                shared->ready();
                if (!shared->ended) arm(shared);
            });
        }
        asio::posix::stream_descriptor descriptor;
        Wait wait;
        std::function<void()> ready;
        bool ended = false;
    };
    std::shared_ptr<Shared> shared_;
};

class SignalRegistration : public EventLoop::Registration {
  public:
    SignalRegistration(asio::io_context& context, const std::vector<int>& signals, std::function<void(int)> arrived)
        : shared_(std::make_shared<Shared>(context, std::move(arrived))) {
        for (const int signal : signals) shared_->set.add(signal);
        Shared::arm(shared_);
    }
    ~SignalRegistration() override {
        shared_->ended = true;
        shared_->set.cancel();
    }

  private:
    struct Shared {
        Shared(asio::io_context& context, std::function<void(int)> callback)
            : set(context), arrived(std::move(callback)) {}
        static void arm(const std::shared_ptr<Shared>& shared) {
            shared->set.async_wait([shared](boost::system::error_code ec, int signal) {
                if (ec || shared->ended) return;
                shared->arrived(signal);
                if (!shared->ended) arm(shared);
            });
        }
        asio::signal_set set;
        std::function<void(int)> arrived;
        bool ended = false;
    };
    std::shared_ptr<Shared> shared_;
};

}  // namespace

EventLoop::EventLoop() : state_(std::make_unique<State>()) {}
EventLoop::~EventLoop() = default;

void EventLoop::run() {
    state_->thread = std::this_thread::get_id();
    state_->context.restart();
    state_->context.run();
    state_->thread = std::thread::id{};
}

void EventLoop::stop() { state_->context.stop(); }

void EventLoop::post(std::function<void()> work) { asio::post(state_->context, std::move(work)); }

EventLoop::Handle EventLoop::after(Duration delay, std::function<void()> work) {
    return std::make_unique<TimerRegistration>(state_->context, delay, std::move(work));
}

EventLoop::Handle EventLoop::watch_readable(int descriptor, std::function<void()> ready) {
    auto arrived = [ready = std::move(ready)] {
        note_arrival();
        ready();
    };
    return std::make_unique<WatchRegistration>(state_->context, descriptor, WatchRegistration::Wait::wait_read,
                                               std::move(arrived));
}

EventLoop::Handle EventLoop::watch_writable(int descriptor, std::function<void()> ready) {
    return std::make_unique<WatchRegistration>(state_->context, descriptor, WatchRegistration::Wait::wait_write,
                                               std::move(ready));
}

EventLoop::Handle EventLoop::on_signals(const std::vector<int>& signals, std::function<void(int)> arrived) {
    return std::make_unique<SignalRegistration>(state_->context, signals, std::move(arrived));
}

bool EventLoop::on_loop_thread() const { return state_->thread.load() == std::this_thread::get_id(); }

}  // namespace base
