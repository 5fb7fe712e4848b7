"""How a check of the lab is judged, whatever part of the product it is about."""
import subprocess
import time

from demokit.lab_client import LabError
from machine import Watch

ATTEMPTS = 3


class Broken(Exception):
    """A promise was not kept; the text says which and what was seen."""


class Lost(Broken):
    """Data is lost, wrong, or was given out too early: no machine, however busy, excuses that."""


def expect(holds, what):
    if not holds:
        raise Broken(what)


def expect_safe(holds, what):
    """For what must hold at any speed of the machine."""
    if not holds:
        raise Lost(what)


def eventually(condition, what, seconds=60, pause=0.1):
    until = time.monotonic() + seconds
    while not condition():
        expect(time.monotonic() < until, f'{what}: not within {seconds} s')
        time.sleep(pause)


def holds(name, check, begin_anew):
    """Runs a check and prints its line; whether it held. Nodes are shot for standing still, as they must be: a check that broke
    while the machine did not let its processes run says nothing of the product and is done again from a fresh beginning, in
    front of everybody. What is Lost, and what breaks on a machine that ran, is broken at once."""
    for attempt in range(1, ATTEMPTS + 1):
        watch = Watch()
        try:
            said = check()
            print(f'ok      {name}{f": {said}" if said else ""} [{watch.seconds():.1f} s]', flush=True)
            return True
        except (Broken, LabError, subprocess.TimeoutExpired) as broken:
            if isinstance(broken, Lost) or attempt == ATTEMPTS or not watch.stood_still():
                print(f'BROKEN  {name}: {broken}', flush=True)
                return False
            print(f'AGAIN   {name}, because {watch}; it broke with: {broken}', flush=True)
        finally:
            watch.stop()
        begin_anew()
    return False
