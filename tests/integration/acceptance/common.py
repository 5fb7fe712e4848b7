"""What all acceptance checks use."""
import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
INSIDE = os.path.join(ROOT, 'tests/integration/acceptance/inside')
sys.path[:0] = [os.path.join(ROOT, 'tools'), os.path.join(ROOT, 'tests/integration')]

from demokit.replicas import differing_byte  # noqa: E402
from demokit.lab_client import LabClient, LabError, boot_seconds  # noqa: E402
from verdicts import Broken, expect, expect_safe  # noqa: E402

NODES = ('a', 'b')
FOUND = 4       # exit status of fsck(8)
COULD_NOT_LOOK = ('nput/output error', 'disk I/O error', 'endpoint is not connected', 'has no power')


def inside(name):
    return os.path.join(INSIDE, name)


def other(node):
    return 'b' if node == 'a' else 'a'


def start_inside(lab, node, name, *arguments, **options):
    """A python program of inside/ in a node."""
    options.setdefault('stderr', subprocess.PIPE)
    return lab.popen(node, '/usr/bin/python3', inside(name), *arguments, **options)


def finish(process, what, timeout=600):
    """Waits for a program; its output. Anything but exit status 0 breaks the check."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise Broken(f'{what} did not end within {timeout} s')
    expect(process.returncode == 0, f'{what}: exit status {process.returncode}: {(err or "")[-2000:]}')
    return out


def look(lab, node, *words, **options):
    """Runs a program that looks at data, to its end; its output. What it finds wrong is Lost, unless it could not look."""
    done = lab.run(node, *words, check=False, **options)
    said = f'{" ".join(map(str, words))} on {node}: exit status {done.returncode}: {done.stdout[-1500:]}{done.stderr[-1500:]}'
    could = 0 <= done.returncode < 125 and not any(each in said for each in COULD_NOT_LOOK)
    (expect_safe if could else expect)(done.returncode == 0, said)
    return done.stdout


def fresh_directory(lab, name):
    """Makes a directory on the filesystem; its path, the same in both nodes."""
    path = os.path.join(lab.mountpoint('a'), name)
    lab.run('a', 'rm', '-rf', path)
    lab.run('a', 'mkdir', path)
    return path


def same_listing(lab, path):
    """Both nodes see the same tree, to the byte; how many names."""
    views = [lab.output(node, '/usr/bin/python3', inside('listing.py'), path) for node in NODES]
    if views[0] != views[1]:
        ours, theirs = (set(view.splitlines()) for view in views)
        expect_safe(False, f'the nodes disagree on {path}: a only {sorted(ours - theirs)[:5]}, b only {sorted(theirs - ours)[:5]}')
    return len(views[0].splitlines())


def unmount_both(lab):
    for node in NODES:
        lab.run(node, 'umount', lab.mountpoint(node), timeout=300)
        until = time.monotonic() + 300
        while lab.run(node, 'mountpoint', '-q', lab.mountpoint(node), check=False).returncode == 0:
            expect(time.monotonic() < until, f'{node} is still mounted after umount')
            time.sleep(0.1)


def mount_both(lab, *options):
    for node in NODES:
        lab.run(node, 'mount', '-t', 'cfs', *options, 'r0', lab.mountpoint(node), timeout=300)


def check_filesystem(lab):
    """fsck.cfs -f -n on the unmounted filesystem, from both replicas; clean or broken."""
    for node in NODES:
        done = lab.run(node, 'fsck.cfs', '-f', '-n', 'r0', check=False, timeout=300)
        said = f'fsck.cfs on {node}: exit status {done.returncode}: {done.stdout[-3000:]}{done.stderr[-500:]}'
        expect_safe(done.returncode != FOUND, said)
        expect(done.returncode == 0, said)


def compare_replicas(lab):
    """The two backing disks hold the same bytes up to the metadata at their ends; how many bytes."""
    size = data_size(lab)
    first = differing_byte(lab.disk('a'), lab.disk('b'), size)
    expect_safe(first is None, f'the replicas differ at byte {first}')
    return size


def data_size(lab):
    """Bytes of r0 that clients see."""
    uri = lab.device('a')
    return int(lab.output('a', 'nbdinfo', '--size', uri).strip())
