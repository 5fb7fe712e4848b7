#!/usr/bin/python3
"""The story that tools/demo tells: build, two nodes, one filesystem, a power cut, and what was left of the promises.
    story.py [--size 1G] [--seconds 6] [--dir DIR] [--keep]"""
import argparse
import os
import random
import subprocess
import sys
import threading
import time

TOOLS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(TOOLS)
sys.path.insert(0, TOOLS)

from demokit.build import build  # noqa: E402
from demokit.narrator import Narrator  # noqa: E402
from demokit.replicas import differing_byte  # noqa: E402
from demokit.lab_client import LabClient, LabError, boot_seconds  # noqa: E402

WRITER = os.path.join(TOOLS, 'demokit/writer.py')
NODES = ('a', 'b')


class Writer:
    """A program in a node that appends lines and fsyncs each; remembers which were durable, and when."""

    def __init__(self, lab, node, path):
        self.node = node
        self.process = lab.popen(node, '/usr/bin/python3', WRITER, path, node, '0.002', stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.durable = []  # (number, seconds since boot)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            words = line.split()
            if line.endswith('\n') and len(words) == 2:
                self.durable.append((int(words[0]), float(words[1])))

    def stop(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.reader.join(timeout=10)


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--size', default='1G', help='of the replicated disk (default 1G)')
    parser.add_argument('--seconds', type=float, default=6, help='of writing on both nodes before the power cut')
    parser.add_argument('--dir', default=os.path.join(ROOT, 'build/demo-lab'))
    parser.add_argument('--keep', action='store_true', help='leave the two nodes up at the end, to look around')
    parser.add_argument('--no-build', action='store_true', help='use the newest build')
    return parser.parse_args()


def bring_up(tell, lab, options):
    tell.chapter('Two machines')
    tell.say('Each has its own disk, network, Corosync and a BMC that can cut its power (real IPMI, simulated hardware).')
    lab.verb('down', check=False)
    with tell.bar('starting nodes a and b'):
        lab.up('--size', options.size)
    tell.say(f'One filesystem on a device that replicates both ways, mounted on both at {lab.mountpoint("a")}.')


def show_sharing(tell, lab, directory):
    tell.chapter('One filesystem')
    lab.run('a', 'mkdir', '-p', directory)
    wrong = 0
    with tell.bar('files made on a, read on b') as bar:
        for number in range(50):
            lab.run('a', 'sh', '-c', f'echo "page {number}" > {directory}/page-{number}')
            wrong += lab.output('b', 'cat', f'{directory}/page-{number}') != f'page {number}\n'
            bar.update((number + 1) / 50)
    tell.verdict('What one node writes, the other reads at once', wrong == 0, f'50 files, {wrong} stale or missing')


def write_on_both(tell, lab, path, seconds):
    """Writers on both nodes to one file, then the cut; what they were promised."""
    tell.chapter('Both write, one loses its power')
    writers = {node: Writer(lab, node, path) for node in NODES}
    with tell.bar('both append to one file, fsync each') as bar:
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            time.sleep(0.1)
            bar.update((time.monotonic() - begun) / seconds,
                       f'a {len(writers["a"].durable)} b {len(writers["b"].durable)} lines')
    time.sleep(random.uniform(0, 0.5))
    cut = boot_seconds()
    lab.verb('crash', 'a')
    tell.say('The power of a is cut, in the middle of its writes.')
    again = wait_for_survivor(tell, writers['b'], cut)
    time.sleep(1)
    for writer in writers.values():
        writer.stop()
    return writers, cut, again


def wait_for_survivor(tell, writer, cut):
    """When b's first write after the freeze was durable (seconds since boot), or None after a minute."""
    with tell.bar('b finds out, fences a, recovers') as bar:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            times = [cut] + [when for _, when in writer.durable if when > cut]
            for earlier, later in zip(times, times[1:]):
                if later - earlier > 0.3:
                    return later
            bar.update((time.monotonic() - until + 60) / 60)
            time.sleep(0.05)
    return None


def judge_survivor(tell, lab, path, writers, cut, again):
    tell.verdict('The survivor goes on', again is not None,
                 f'b wrote again {again - cut:.2f} s after the cut' if again else 'b did not write for a minute')
    found = lab.output('b', 'cat', path).splitlines()
    whole = {tuple(line.split()[:2]) for line in found}
    promised = [(node, f'{number:08d}') for node, writer in writers.items() for number, _ in writer.durable]
    lost = sum(line not in whole for line in promised)
    torn = sum(not is_whole(line) for line in found)
    tell.verdict('No acknowledged byte is lost', lost == 0 and torn == 0 and len(promised) > 0,
                 f'{len(promised)} lines were acknowledged, {lost} are missing, {torn} are torn')


def is_whole(line):
    words = line.split(' ')
    return len(words) == 3 and words[0] in NODES and words[1].isdigit() and words[2] == 'x' * (int(words[1]) % 40)


def show_fencing(tell, lab):
    said = lab.output('b', 'cfs-fence', 'history').strip().splitlines()
    fenced = any('fenced' in line or 'off' in line for line in said)
    for line in said[-3:]:
        tell.say('fence history: ' + line)
    tell.verdict('The dead node was fenced before anything of it was touched', fenced, f'{len(said)} lines of history')


def bring_back(tell, lab, path):
    tell.chapter('The dead one comes back')
    lab.verb('power', 'a', 'on')
    begun = time.monotonic()
    with tell.bar('a boots, resyncs, mounts'):
        lab.wait_healthy(120)
    tell.say(f'Healthy again after {time.monotonic() - begun:.1f} s.')
    same = lab.output('a', 'sha256sum', path) == lab.output('b', 'sha256sum', path)
    tell.verdict('A node that comes back sees what the survivor wrote', same, 'the file has the same hash on both')


def close(tell, lab):
    tell.chapter('Looking under the hood')
    for node in NODES:
        lab.run(node, 'umount', lab.mountpoint(node), timeout=60)
    done = lab.run('a', 'fsck.cfs', '-f', '-n', 'r0', check=False)
    tell.verdict('The filesystem is sound', done.returncode == 0, (done.stdout.strip().splitlines() or ['no output'])[-1])
    size = int(lab.output('a', 'nbdinfo', '--size', lab.device('a')))
    first = differing_byte(lab.disk('a'), lab.disk('b'), size)
    tell.verdict('Both replicas hold the same bytes', first is None,
                 f'{size} bytes compared' if first is None else f'byte {first} differs')


def tell_story(tell, lab, options):
    bring_up(tell, lab, options)
    directory = lab.mountpoint('a') + '/demo'
    path = directory + '/log'
    show_sharing(tell, lab, directory)
    writers, cut, again = write_on_both(tell, lab, path, options.seconds)
    judge_survivor(tell, lab, path, writers, cut, again)
    show_fencing(tell, lab)
    bring_back(tell, lab, path)
    close(tell, lab)


def main():
    options = parse()
    tell = Narrator()
    lab = LabClient(options.dir)
    if not options.no_build and not build(tell, ROOT):
        return 1
    kept = False
    try:
        tell_story(tell, lab, options)
        kept = tell.summary()
    except (LabError, subprocess.TimeoutExpired) as error:
        tell.say(f'The story ended early: {error}')
        tell.summary()
    finally:
        if not options.keep:
            lab.verb('down', check=False)
    tell.say('Every promise was kept.' if kept else 'Not every promise was kept.')
    return 0 if kept else 1


if __name__ == '__main__':
    sys.exit(main())
