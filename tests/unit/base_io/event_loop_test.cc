#include "base/io/event_loop.hh"

#include <sys/eventfd.h>
#include <unistd.h>

#include <thread>

#include "tests/unit/base_io/loop_fixture.hh"

using EventLoopTest = LoopTest;
using base::Duration;

TEST_F(EventLoopTest, RunsWhatIsPostedFromAnotherThread) {
    std::thread other([this] { loop_.post([this] { done(); }); });
    run_until_done();
    other.join();
}

TEST_F(EventLoopTest, ADestroyedTimerDoesNotFire) {
    bool fired = false;
    auto timer = loop_.after(Duration::milliseconds(1), [&] { fired = true; });
    timer.reset();
    const auto end = loop_.after(Duration::milliseconds(20), [this] { done(); });
    run_until_done();
    EXPECT_FALSE(fired);
}

TEST_F(EventLoopTest, WatchesOneDescriptorBothWays) {
    const int descriptor = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    base::EventLoop::Handle readable;
    base::EventLoop::Handle writable;
    writable = loop_.watch_writable(descriptor, [&] {
        writable.reset();
        const std::uint64_t one = 1;
        ASSERT_EQ(::write(descriptor, &one, sizeof one), 8);
    });
    readable = loop_.watch_readable(descriptor, [&] {
        readable.reset();
        done();
    });
    run_until_done();
    ::close(descriptor);
}
