#!/usr/bin/python3
"""What the checks of the lab are judged by: which failures are excused by a machine that stood still. verdicts_test.py SOURCES"""
import contextlib
import io
import os
import subprocess
import sys
import time
import unittest

SOURCES = sys.argv.pop(1)
sys.path[:0] = [os.path.join(SOURCES, each) for each in ('tools', 'tests/integration')]

import machine  # noqa: E402
import verdicts  # noqa: E402


class Machine:
    """Stands still as it is told."""

    still = False

    def stood_still(self):
        return self.still

    def seconds(self):
        return 0.0

    def stop(self):
        pass

    def __str__(self):
        return 'it stood still'


class HoldsTest(unittest.TestCase):
    def setUp(self):
        verdicts.Watch, Machine.still = Machine, True
        self.attempts, self.begun_anew = 0, 0

    def judge(self, *ends):
        """Whether a check held that ends so, one attempt after the other; and what was printed."""
        def check():
            self.attempts += 1
            end = ends[min(self.attempts, len(ends)) - 1]
            if isinstance(end, Exception):
                raise end
            return end

        def begin_anew():
            self.begun_anew += 1
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            held = verdicts.holds('a_check', check, begin_anew)
        return held, printed.getvalue()

    def test_what_holds_is_said_once(self):
        held, printed = self.judge('three of three')
        self.assertTrue(held)
        self.assertRegex(printed, r'^ok      a_check: three of three \[0\.0 s\]\n$')
        self.assertEqual((self.attempts, self.begun_anew), (1, 0))

    def test_a_machine_that_ran_excuses_nothing(self):
        Machine.still = False
        held, printed = self.judge(verdicts.Broken('no'), 'yes')
        self.assertFalse(held)
        self.assertEqual((printed, self.attempts, self.begun_anew), ('BROKEN  a_check: no\n', 1, 0))

    def test_a_machine_that_stood_still_excuses_in_front_of_everybody(self):
        for end in (verdicts.Broken('no'), verdicts.LabError('no'), subprocess.TimeoutExpired('no', 1)):
            self.attempts = self.begun_anew = 0
            held, printed = self.judge(end, 'yes')
            self.assertTrue(held)
            self.assertTrue(printed.startswith('AGAIN   a_check, because it stood still; it broke with: '), printed)
            self.assertEqual((self.attempts, self.begun_anew), (2, 1))

    def test_lost_data_is_never_excused(self):
        held, printed = self.judge(verdicts.Lost('gone'), 'yes')
        self.assertFalse(held)
        self.assertEqual((printed, self.attempts), ('BROKEN  a_check: gone\n', 1))

    def test_the_third_time_is_the_last(self):
        held, printed = self.judge(verdicts.Broken('no'))
        self.assertFalse(held)
        self.assertTrue(printed.endswith('BROKEN  a_check: no\n'))
        self.assertEqual((self.attempts, self.begun_anew), (3, 2))

    def test_a_mistake_in_a_check_is_no_verdict(self):
        with self.assertRaises(KeyError):
            self.judge(KeyError('x'))


class WatchTest(unittest.TestCase):
    def watch(self, longest, taken, ticks=10**9):
        """One that has seen this."""
        one = machine.Watch()
        one.stop()
        one.join()
        one.longest = longest
        one.times = tuple(now - then for now, then in zip(machine.processor_times(), (ticks, taken * ticks)))
        return one

    def test_who_wakes_late_or_has_no_processor_stands_still(self):
        self.assertFalse(self.watch(0.4, 0.0).stood_still())
        self.assertTrue(self.watch(1.5, 0.0).stood_still())
        self.assertTrue(self.watch(0.4, 0.5).stood_still())
        self.assertIn('up to 1.5 s, and 50% of', str(self.watch(1.5, 0.5)))

    def test_it_sees_how_late_it_wakes(self):
        slept, sleep = [], time.sleep
        watch = machine.Watch()

        def late(seconds):
            slept.append(seconds)
            sleep(seconds + (0.5 if len(slept) == 1 else 0))
        machine.time.sleep = late
        try:
            until = time.monotonic() + 60
            while watch.longest < 0.5 and time.monotonic() < until:
                sleep(0.01)
        finally:
            machine.time.sleep = sleep
        watch.stop()
        self.assertGreaterEqual(watch.longest, 0.45)


unittest.main()
