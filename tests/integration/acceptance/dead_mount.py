"""mount.cfs of a is killed while both write: nobody is shot, b goes on, a mounts again; nothing promised is lost, and whoever
still has a file open on a sees nothing old in it."""
import subprocess
import time

from .common import NODES, expect, expect_safe, fresh_directory, inside, same_listing
from .power_cuts import Load, check_promises, wait_until_writing

KILL = 'for pid in /proc/[0-9]*; do [ "$(cat $pid/comm)" = mount.cfs ] && kill -9 ${pid#/proc/}; done 2>/dev/null; true'


class KeptOpen:
    """A file of a's, open there and in its kernel's cache."""
    def __init__(self, lab, path):
        self.lab, self.path = lab, path
        self.write('a', 'old')
        self.process = lab.popen('a', '/usr/bin/python3', inside('keep_open.py'), path, stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE)
        expect(self.process.stdout.readline() == 'old\n', 'the file cannot be read')

    def write(self, node, text):
        self.lab.run(node, 'sh', '-c', f'printf {text} > {self.path}; sync {self.path}')

    def read(self):
        self.process.stdin.write('again\n')
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(300)


def check(lab, options):
    directory = fresh_directory(lab, 'dead-mount')
    kept_open = KeptOpen(lab, f'{directory}/kept-open')
    fences = lab.output('b', 'cfs-fence', 'history')
    loads = {node: Load(lab, node, directory, 100000) for node in NODES}
    for load in loads.values():
        wait_until_writing(load, 30)
    lab.run('a', 'sh', '-c', KILL)
    started = time.monotonic()
    wait_until_writing(loads['b'], len(loads['b'].promises) + 30)
    took = time.monotonic() - started
    kept_open.write('b', 'new')
    seen = kept_open.read()
    kept_open.close()
    expect_safe(seen != 'old', 'who has a file open on a reads what b has overwritten')
    loads['b'].stop(expect_success=True)
    loads['a'].stop(expect_success=False)
    expect(lab.verb('power', 'a', 'status') == 'on\n', 'a was shot for the death of a process')
    expect(lab.output('b', 'cfs-fence', 'history') == fences, 'a fence is in the history')
    promises = [(node, text) for node, load in loads.items() for _, text in load.promises]
    check_promises(lab, 'b', directory, promises)
    lab.run('a', 'umount', '-l', lab.mountpoint('a'))
    lab.run('a', 'mount', '-t', 'cfs', 'r0', lab.mountpoint('a'), timeout=300)
    lab.wait_healthy()
    check_promises(lab, 'a', directory, promises)
    return (f'{len(promises)} promises kept, a file kept open on a: {seen}; b wrote on after {took:.1f} s, '
            f'{same_listing(lab, directory)} names seen alike')
