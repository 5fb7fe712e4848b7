// A loop that runs until a test says that what it waits for has come.
#pragma once

#include <gtest/gtest.h>

#include "base/io/event_loop.hh"

class LoopTest : public ::testing::Test {
  protected:
    // Fails the test when done() is not called within ten seconds.
    void run_until_done() {
        const auto limit = loop_.after(base::Duration::seconds(10), [this] {
            ADD_FAILURE() << "nothing happened for ten seconds";
            loop_.stop();
        });
        loop_.run();
    }
    void done() { loop_.stop(); }

    base::EventLoop loop_;
};
