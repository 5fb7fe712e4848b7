"""The power of a is cut at a random moment of a mixed load, again and again: b goes on; everything that was fsynced is
there; a comes back, resyncs only what changed, mounts; fsck is clean and the replicas are identical."""
import collections
import datetime
import json
import random
import re
import subprocess
import threading
import time

from .common import (NODES, boot_seconds, check_filesystem, compare_replicas, expect, expect_safe, fresh_directory, inside,
                     mount_both, start_inside, unmount_both)


MISSING = 3     # exit status of check_load.py
Cut = collections.namedtuple('Cut', 'total detection fencing recovery')  # seconds


class Load:
    """The load in one node and every promise it was given."""

    begun = []      # all since a check began

    def __init__(self, lab, node, directory, first):
        self.node, self.directory = node, directory
        Load.begun.append(self)
        self.process = start_inside(lab, node, 'load.py', f'{directory}/{node}', node, first, stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE)
        self.promises = []  # (seconds since boot, text)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            words = line.split()
            if line.endswith('\n') and len(words) >= 3:
                self.promises.append((float(words[-1]), ' '.join(words[:-1])))

    def tell_to_stop(self):
        if self.process.stdin is not None:
            self.process.stdin.close()
            self.process.stdin = None

    def give_up(self):
        """Ends it at last, whether it answers or not."""
        self.tell_to_stop()     # the load itself is not our child: this is what it ends by
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def stop(self, expect_success):
        self.tell_to_stop()
        status = self.process.wait(timeout=300)
        self.reader.join(timeout=30)
        errors = self.process.stderr.read()
        expect(status == 0 or not expect_success, f'the load on {self.node}: exit status {status}: {errors[-1500:]}')


def wait_until_writing(load, count):
    until = time.monotonic() + 300
    while len(load.promises) < count:
        expect(load.process.poll() is None, f'the load on {load.node} ended: {load.process.stderr.read()[-1500:]}' if load.process.poll() is not None else '')
        expect(time.monotonic() < until, f'the load on {load.node} makes no progress')
        time.sleep(0.02)


def first_write_after(load, moment):
    """When the survivor's first write that began after `moment` was durable; waits for it. A write that was under way
    when the power went may still be answered a moment later."""
    until = time.monotonic() + 300
    while True:
        after = [when for when, _ in load.promises if when > moment]
        # A gap of at least 0.3 s is the freeze.
        times = [moment] + after
        for earlier, later in zip(times, times[1:]):
            if later - earlier > 0.3:
                return later
        expect(time.monotonic() < until, f'b has not written for 300 s after the power of a was cut ({len(after)} answers)')
        time.sleep(0.02)


def last_fence(lab):
    """(seen, verified) of the last fence in b's history, in seconds since boot."""
    entries = json.loads(lab.output('b', 'cfs-fence', 'history', '--json'))
    entries = entries.get('history', entries) if isinstance(entries, dict) else entries
    expect(entries, 'the fence history on b is empty after a fence')
    to_boot = boot_seconds() - time.time()

    def seconds(text):
        return datetime.datetime.fromisoformat(text.replace('Z', '+00:00')).timestamp() + to_boot
    return seconds(entries[-1]['seen']), seconds(entries[-1]['verified'])


def resynced_kib(lab):
    """What the last resync of the returning node copied, from its log; None if it says nothing."""
    amounts = re.findall(r'resync as SyncTarget: (\d+) KiB', lab.log('a', 'blockrepd'))
    return int(amounts[-1]) if amounts else None


def one_cut(lab, directory, round_number, chooser, all_promises):
    first = round_number * 100000
    loads = {node: Load(lab, node, directory, first) for node in NODES}
    try:
        for load in loads.values():
            wait_until_writing(load, 30)
        time.sleep(chooser.uniform(0.2, 3.0))
        moment = boot_seconds()
        lab.verb('crash', 'a')
        again = first_write_after(loads['b'], moment)
        time.sleep(0.5)
        loads['b'].stop(expect_success=True)
        loads['a'].stop(expect_success=False)
    finally:
        for load in loads.values():
            if load.process.poll() is None:
                load.process.kill()
                load.process.wait()
    for node, load in loads.items():
        all_promises += [(node, text) for _, text in load.promises]
    seen, verified = last_fence(lab)
    return Cut(again - moment, seen - moment, verified - seen, again - verified)


def check_promises(lab, node, directory, promises):
    text = ''.join(f'{owner} {what}\n' for owner, what in promises)
    done = lab.run(node, '/usr/bin/python3', inside('check_load.py'), directory, input=text, check=False, timeout=300)
    said = f'on {node}: {done.stdout[-1500:]}{done.stderr[-500:]}'
    expect_safe(done.returncode != MISSING, said)
    expect(done.returncode == 0, said)
    return done.stdout.strip().splitlines()[-1]


def check(lab, options):
    chooser = random.Random(options.seed)
    directory = fresh_directory(lab, 'power-cuts')
    promises, cuts = [], []
    for round_number in range(1, options.cuts + 1):
        cuts.append(one_cut(lab, directory, round_number, chooser, promises))
        checked = check_promises(lab, 'b', directory, promises)
        lab.verb('power', 'a', 'on')
        lab.wait_healthy()
        check_promises(lab, 'a', directory, promises)
        unmount_both(lab)
        check_filesystem(lab)
        compare_replicas(lab)
        mount_both(lab)
        cut = cuts[-1]
        print(f'   cut {round_number}: b wrote again after {cut.total:.2f} s = detection {cut.detection:.2f} + fencing '
              f'{cut.fencing:.2f} + recovery {cut.recovery:.2f}; {checked}; resynced {resynced_kib(lab)} KiB; fsck clean, '
              'replicas equal', flush=True)
    slowest = max(cut.recovery for cut in cuts)
    totals = sorted(cut.total for cut in cuts)
    return (f'{options.cuts} cuts, {len(promises)} promises kept; from cut to b\'s first new write {totals[0]:.2f} to '
            f'{totals[-1]:.2f} s, median {totals[len(totals) // 2]:.2f} s; slowest recovery after fencing {slowest:.2f} s'
            + (' (promised: under 1 s)' if slowest >= 1 else ''))
