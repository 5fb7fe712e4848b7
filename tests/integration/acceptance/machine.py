"""What this machine did to everybody in the lab at once: a stall that it caused says nothing of the product."""
import threading
import time

PAUSE = 0.1


def processor_times():
    """(all, taken by other machines on the same host), in clock ticks."""
    with open('/proc/stat', encoding='ascii') as file:
        times = [int(word) for word in file.readline().split()[1:9]]
    return sum(times), times[7]


class Watch(threading.Thread):
    """Sleeps and looks how late it wakes."""

    def __init__(self):
        super().__init__(daemon=True)
        self.longest = 0.0
        self.times = processor_times()
        self.start()

    def run(self):
        while True:
            before = time.monotonic()
            time.sleep(PAUSE)
            self.longest = max(self.longest, time.monotonic() - before - PAUSE)

    def __str__(self):
        total, taken = (now - then for now, then in zip(processor_times(), self.times))
        return (f'this machine kept a sleeper waiting for up to {self.longest:.1f} s, and {taken / max(total, 1):.0%} of its '
                'processors were taken from it')
