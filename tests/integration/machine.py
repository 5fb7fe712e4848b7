"""What this machine did to everybody in the lab at once: a stall that it caused says nothing of the product."""
import threading
import time

PAUSE = 0.1          # seconds of each sleep
LATE = 1.0           # seconds: of the order of the token of Corosync and the delays of fencing
TAKEN = 0.25         # of all processor time: what is left does everything several times slower


def processor_times():
    """(all, taken by other machines on the same host), in clock ticks."""
    with open('/proc/stat', encoding='ascii') as file:
        times = [int(word) for word in file.readline().split()[1:9]]
    return sum(times), times[7]


class Watch(threading.Thread):
    """Sleeps and looks how late it wakes."""

    def __init__(self):
        super().__init__(daemon=True)
        self.longest, self.ended = 0.0, False
        self.began, self.times = time.monotonic(), processor_times()
        self.start()

    def run(self):
        while not self.ended:
            before = time.monotonic()
            time.sleep(PAUSE)
            self.longest = max(self.longest, time.monotonic() - before - PAUSE)

    def stop(self):
        self.ended = True

    def seconds(self):
        return time.monotonic() - self.began

    def taken(self):
        total, taken = (now - then for now, then in zip(processor_times(), self.times))
        return taken / max(total, 1)

    def stood_still(self):
        """Nodes may have been shot for it."""
        return self.longest > LATE or self.taken() > TAKEN

    def __str__(self):
        return (f'this machine kept a sleeper waiting for up to {self.longest:.1f} s, and {self.taken():.0%} of its processors were '
                'taken from it')
