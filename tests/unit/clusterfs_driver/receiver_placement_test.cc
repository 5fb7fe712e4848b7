#include "clusterfs/driver/receiver_placement.hh"

#include <gtest/gtest.h>

namespace clusterfs {
namespace {

using Step = CallerWatch::Step;

// How many requests of that caller it takes until the receiver moves; 0: it does not.
int until_moved(CallerWatch& watch, std::uint32_t caller, int limit = 10000) {
    for (int i = 1; i <= limit; ++i) {
        if (watch.received(caller, false) != Step::stay) return i;
    }
    return 0;
}

TEST(CallerWatch, FollowsALoneCallerAndLooksAgainNowAndThen) {
    CallerWatch watch;
    EXPECT_GT(until_moved(watch, 7), 32);
    const auto again = until_moved(watch, 7);
    EXPECT_GT(again, 100);
    EXPECT_EQ(until_moved(watch, 7), again);
}

TEST(CallerWatch, FollowsNobodyWhereManyAsk) {
    CallerWatch watch;
    for (std::uint32_t i = 0; i < 10000; ++i) ASSERT_EQ(watch.received(1 + i % 2, false), Step::stay);
}

TEST(CallerWatch, LeavesWhenOthersCome) {
    CallerWatch watch;
    until_moved(watch, 7);
    int sent = 0;
    while (sent < 100 && watch.received(8, false) != Step::leave) ++sent;
    EXPECT_LT(sent, 16);
    EXPECT_GT(until_moved(watch, 8), 32);
}

TEST(CallerWatch, OneStrangerDoesNotMatter) {
    CallerWatch watch;
    until_moved(watch, 7);
    for (int i = 0; i < 50; ++i) {
        ASSERT_EQ(watch.received(8, false), Step::stay);
        for (int j = 0; j < 8; ++j) ASSERT_NE(watch.received(7, false), Step::leave);
    }
}

TEST(CallerWatch, StaysAwayFromWhoMovesMuchData) {
    CallerWatch watch;
    for (int i = 0; i < 10000; ++i) ASSERT_EQ(watch.received(7, true), Step::stay);
    until_moved(watch, 7);
    int sent = 0;
    while (sent < 100 && watch.received(7, true) != Step::leave) ++sent;
    EXPECT_LT(sent, 16);
}

TEST(CallerWatch, WhatNobodyAskedForSaysNothing) {
    CallerWatch watch;
    until_moved(watch, 7);
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(watch.received(0, false), Step::stay);
}

}  // namespace
}  // namespace clusterfs
