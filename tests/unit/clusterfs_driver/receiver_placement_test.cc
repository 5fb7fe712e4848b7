#include "clusterfs/driver/receiver_placement.hh"

#include <gtest/gtest.h>

namespace clusterfs {
namespace {

// How many requests of that caller it takes until it is alone; 0: it never is.
int until_alone(CallerWatch& watch, std::uint32_t caller) {
    for (int i = 1; i <= 10000; ++i) {
        if (watch.received(caller, false)) return i;
    }
    return 0;
}

TEST(CallerWatch, ALoneCallerIsSeenAfterAWhile) {
    CallerWatch watch;
    EXPECT_GT(until_alone(watch, 7), 32);
}

TEST(CallerWatch, NobodyIsAloneWhereManyAsk) {
    CallerWatch watch;
    for (std::uint32_t i = 0; i < 10000; ++i) ASSERT_FALSE(watch.received(1 + i % 2, false));
}

TEST(CallerWatch, IsNotAloneAnyMoreWhenOthersCome) {
    CallerWatch watch;
    until_alone(watch, 7);
    int sent = 0;
    while (sent < 100 && watch.received(8, false)) ++sent;
    EXPECT_LT(sent, 16);
    EXPECT_GT(until_alone(watch, 8), 32);
}

TEST(CallerWatch, OneStrangerDoesNotMatter) {
    CallerWatch watch;
    until_alone(watch, 7);
    for (int i = 0; i < 50; ++i) {
        ASSERT_TRUE(watch.received(8, false));
        for (int j = 0; j < 8; ++j) ASSERT_TRUE(watch.received(7, false));
    }
}

TEST(CallerWatch, WhoMovesMuchDataIsNotMeant) {
    CallerWatch watch;
    for (int i = 0; i < 10000; ++i) ASSERT_FALSE(watch.received(7, true));
    until_alone(watch, 7);
    int sent = 0;
    while (sent < 100 && watch.received(7, true)) ++sent;
    EXPECT_LT(sent, 16);
}

TEST(CallerWatch, WhatNobodyAskedForSaysNothing) {
    CallerWatch watch;
    until_alone(watch, 7);
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(watch.received(0, false));
}

using Way = WaitTrial::Way;

// Which way most of many requests are waited for, when each takes so long.
Way mostly(WaitTrial& trial, base::Duration asleep, base::Duration awake) {
    static base::Instant now;
    Way way = Way::asleep_beside;
    int of_awake = 0;
    for (int i = 0; i < 100000; ++i) {
        now = now + (way == Way::awake_elsewhere ? awake : asleep);
        way = trial.received(now);
        if (way == Way::awake_elsewhere) ++of_awake;
    }
    return of_awake > 50000 ? Way::awake_elsewhere : Way::asleep_beside;
}

constexpr auto us = [](std::int64_t n) { return base::Duration::microseconds(n); };

TEST(WaitTrial, KeepsTheFasterWay) {
    WaitTrial trial;
    EXPECT_EQ(mostly(trial, us(20), us(15)), Way::awake_elsewhere);
    EXPECT_EQ(mostly(trial, us(30), us(47)), Way::asleep_beside) << "when the machine has become busy";
    EXPECT_EQ(mostly(trial, us(20), us(15)), Way::awake_elsewhere) << "and idle again";
}

TEST(WaitTrial, StaysAsleepWhereItGainsLittle) {
    WaitTrial trial;
    EXPECT_EQ(mostly(trial, us(20), us(19)), Way::asleep_beside);
}

TEST(WaitTrial, APauseOfTheCallerSaysNothing) {
    WaitTrial trial;
    base::Instant now;
    for (int i = 0; i < 500; ++i) trial.received(now = now + us(20));
    now = now + base::Duration::seconds(10);
    int of_awake = 0;
    for (int i = 0; i < 20000; ++i) {
        if (trial.received(now = now + us(of_awake == 0 ? 20 : 30)) == Way::awake_elsewhere) ++of_awake;
    }
    EXPECT_LT(of_awake, 2000);
}

}  // namespace
}  // namespace clusterfs
