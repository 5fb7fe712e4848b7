// A loop that runs until a test says that what it waits for has come.
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "base/io/event_loop.hh"

class LoopTest : public ::testing::Test {
  protected:
    // Fails the test when done() is not called in time. The limits are for machines on which nothing goes on.
    void run_until_done() {
        const auto limit = loop_.after(base::Duration::seconds(120), [this] {
            ADD_FAILURE() << "nothing happened for two minutes";
            loop_.stop();
        });
        loop_.run();
    }
    void run_until(const std::function<bool()>& condition) {
        if (condition()) return;
        look(condition);
        run_until_done();
        again_.reset();
    }
    void done() { loop_.stop(); }

    base::EventLoop loop_;

  private:
    void look(const std::function<bool()>& condition) {
        if (condition()) return done();
        again_ = loop_.after(base::Duration::milliseconds(5), [this, condition] { look(condition); });
    }

    base::EventLoop::Handle again_;
};
