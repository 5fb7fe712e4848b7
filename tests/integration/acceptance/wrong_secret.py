"""Another secret on one node than on the other: it is not let in and says which file is meant, and the other one writes on. With
the right one again it comes back by itself or as an operator brings it. On each node in turn: one of the two calls, the other
one listens."""
import json
import re
import time

from .common import NODES, expect, fresh_directory, other, same_listing
from .daemon_kills import expect_both_alive, fences
from .power_cuts import Load, check_promises, wait_until_writing
from .scene import signal, start_daemon

LOCKS = '/etc/cfs/secret'
DEVICE = '/etc/blockrep.d/r0.res'
WRONG = {LOCKS: lambda text: 'not the secret of the others\n', DEVICE: lambda text: re.sub('shared-secret "[^"]*"', 'shared-secret "wrong"', text)}
SOON = 120  # seconds until who is not let in has said why


class Changed:
    """One node's file says something else for as long as this is open."""

    def __init__(self, lab, node, path):
        self.lab, self.node, self.path = lab, node, path
        self.right = lab.output(node, 'cat', path)

    def write(self, text):
        self.lab.run(self.node, 'sh', '-c', f'cat > {self.path}', input=text)     # keeps its mode

    def __enter__(self):
        self.write(WRONG[self.path](self.right))

    def __exit__(self, *what):
        self.write(self.right)


def names_the_secret(said, path):
    return 'wrong shared secret' in said and path in said


def mount(lab, node, **options):
    return lab.run(node, 'mount', '-t', 'cfs', 'r0', lab.mountpoint(node), timeout=300, **options)


def until_it_says(lab, node, path):
    """What the device's own status tells of its link."""
    until = time.monotonic() + SOON
    while True:
        problem = lab.device_status(node)[0]['connections'][0].get('problem', '')
        if names_the_secret(problem, path):
            return
        expect(time.monotonic() < until, f'blockrepadm status of {node} does not name the wrong secret in {path}: {problem!r}')
        time.sleep(0.2)


def locks(lab, node, load):
    """The node mounts with another secret. How long the other one's writes stalled."""
    lab.run(node, 'umount', lab.mountpoint(node), timeout=300)
    with Changed(lab, node, LOCKS):
        began = len(load.promises)
        started = time.monotonic()
        done = mount(lab, node, check=False)
        took = time.monotonic() - started
        expect(done.returncode != 0, f'{node} has mounted with another {LOCKS}')
        said = done.stdout + done.stderr
        expect(names_the_secret(said, LOCKS), f'mount on {node} with another {LOCKS} says only {said!r}')
        expect(took < SOON, f'mount on {node} with another {LOCKS} took {took:.0f} s to fail')
        fencing_is_not_concerned(lab, node)
        wait_until_writing(load, len(load.promises) + 20)
        times = [when for when, _ in load.promises[began:]]
        stall = max(later - earlier for earlier, later in zip(times, times[1:]))
    mount(lab, node)
    return stall


def fencing_is_not_concerned(lab, node):
    """cfs-fenced trusts Corosync's group and has no secret of its own but the passwords of its devices."""
    signal(lab, node, 'cfs-fenced', 'KILL')
    start_daemon(lab, node, 'cfs-fenced')
    until = time.monotonic() + SOON
    while True:
        done = lab.run(node, 'cfs-fence', 'status', '--json', check=False)
        if done.returncode == 0 and json.loads(done.stdout)['fencing']:
            return
        expect(time.monotonic() < until, f'cfs-fenced of {node} does not answer after a new start: {done.stdout}{done.stderr}')
        time.sleep(0.2)


def device(lab, node, load):
    """The node's device comes up with another secret: Secondary, and nothing is mounted; both sides say why."""
    lab.run(node, 'umount', lab.mountpoint(node), timeout=300)
    for words in (('secondary', 'r0'), ('down', 'r0')):
        lab.run(node, 'blockrepadm', *words, timeout=300)
    with Changed(lab, node, DEVICE):
        lab.run(node, 'blockrepadm', 'up', 'r0', timeout=300)
        for each in NODES:
            until_it_says(lab, each, DEVICE)
        stays_secondary(lab, node)
        wait_until_writing(load, len(load.promises) + 20)
    bring_up_anew(lab, node)
    mount(lab, node)


def started_anew(lab, node, load):
    """blockrepd is ended in good order under its mount, and started with another secret: the mount waits for its device."""
    with Changed(lab, node, DEVICE):
        signal(lab, node, 'blockrepd', 'TERM')
        until = time.monotonic() + SOON
        while lab.run(node, 'pidof', 'blockrepd', check=False).returncode == 0:
            expect(time.monotonic() < until, f'blockrepd of {node} does not end')
            time.sleep(0.1)
        start_daemon(lab, node, 'blockrepd')
        while lab.run(node, 'blockrepadm', 'up', 'r0', check=False, timeout=300).returncode != 0:
            expect(time.monotonic() < until, f'blockrepadm up on {node} after a new start fails')
            time.sleep(0.1)
        for each in NODES:
            until_it_says(lab, each, DEVICE)
        stays_secondary(lab, node)
        wait_until_writing(load, len(load.promises) + 20)
    bring_up_anew(lab, node)
    path = f'{lab.mountpoint(node)}/of-{node}'
    lab.run(node, 'timeout', str(SOON), 'sh', '-c', f'echo > {path} && sync {path}')


def stays_secondary(lab, node):
    done = lab.run(node, 'timeout', '3', 'blockrepadm', 'primary', 'r0', check=False)
    expect(done.returncode != 0, f'{node} became Primary with another secret in {DEVICE}')


def bring_up_anew(lab, node):
    for words in (('down', 'r0'), ('up', 'r0'), ('wait-sync', 'r0', '--timeout', '300'), ('primary', 'r0')):
        lab.run(node, 'blockrepadm', *words, timeout=400)


def check(lab, options):
    directory = fresh_directory(lab, 'wrong-secret')
    promises, stalls = [], {}
    for number, node in enumerate(NODES, 1):
        well = other(node)
        before = fences(lab, well)
        load = Load(lab, well, directory, number * 100000)
        try:
            wait_until_writing(load, 20)
            stalls[node] = locks(lab, node, load)
            device(lab, node, load)
            started_anew(lab, node, load)
            wait_until_writing(load, len(load.promises) + 20)
            load.stop(expect_success=True)
        finally:
            load.give_up()
        promises += [(well, text) for _, text in load.promises]
        lab.wait_healthy()
        expect_both_alive(lab, f'another secret on {node}')
        expect(fences(lab, well) == before, f'another secret on {node}: a fence is in the history')
        check_promises(lab, node, directory, promises)
    said = ', '.join(f'{node} was refused while {other(node)} stalled {stall:.1f} s' for node, stall in stalls.items())
    return f'{said}; {len(promises)} promises kept, {same_listing(lab, directory)} names seen alike'
