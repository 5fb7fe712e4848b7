"""Where is measured: two nodes of the lab, ext4 on a loop device, a plain file on the same disk."""
import contextlib
import json
import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
ON_ONE = ['taskset', '--cpu-list', str(min(os.sched_getaffinity(0)))]
INSIDE = os.path.join(ROOT, 'tests/bench/inside')
sys.path.insert(0, os.path.join(ROOT, 'tests/integration'))
sys.path.insert(0, os.path.join(ROOT, 'tools'))

from acceptance import common  # noqa: E402
from demokit.lab_client import LabClient  # noqa: E402


def built(name):
    for folder in (os.environ.get('CFS_BIN'), os.path.join(ROOT, os.environ.get('CFS_BUILD', 'build/release'), 'bin')):
        path = os.path.join(folder or '', name)
        if folder and os.access(path, os.X_OK):
            return os.path.abspath(path)
    sys.exit(f'{name} is not built: name the build tree with CFS_BUILD')


def probe():
    """The program that does the same steps on every filesystem."""
    return built('bench_probe')


def run_probe(*words, before=()):
    done = subprocess.run([*before, probe(), *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f'bench_probe {" ".join(map(str, words))}: {done.stderr}')
    return json.loads(done.stdout)


def run_probe_in(lab, node, *words):
    return json.loads(lab.output(node, probe(), *words, timeout=1200))


@contextlib.contextmanager
def nodes(options, *up):
    """A lab with both nodes up; taken down at the end."""
    lab = LabClient(os.path.join(options.dir, 'lab'))
    lab.verb('down', check=False)
    try:
        lab.up('--size', options.size, *up)
        yield lab
    finally:
        lab.verb('down', check=False)


def remount(lab, node):
    """Nothing is cached there any more."""
    lab.run(node, 'umount', lab.mountpoint(node), timeout=60)
    until = time.monotonic() + 30
    while lab.run(node, 'pgrep', '-x', 'mount.cfs', check=False).returncode == 0 and time.monotonic() < until:
        time.sleep(0.1)
    lab.run(node, 'mount', '-t', 'cfs', 'r0', lab.mountpoint(node), timeout=60)


@contextlib.contextmanager
def nothing(options):
    """The FUSE filesystem that does nothing, on the one processor on which its caller has to run as well."""
    path = os.path.join(options.dir, 'nothing')
    os.makedirs(path, exist_ok=True)
    process = subprocess.Popen([*ON_ONE, built('bench_nothing'), path, str(options.bytes)])
    try:
        until = time.monotonic() + 10
        while not os.path.ismount(path) and time.monotonic() < until:
            time.sleep(0.01)
        yield path
    finally:
        subprocess.run(['umount', path], check=False)
        process.wait(10)


class Ext4:
    """ext4 on a loop device over a file in `folder`, without a second page cache below it."""

    def __init__(self, folder, mebibytes):
        self.image, self.mountpoint = os.path.join(folder, 'ext4.img'), os.path.join(folder, 'ext4')
        self.path = os.path.join(self.mountpoint, 'bench')
        self.mebibytes = mebibytes
        self.device = None

    def __enter__(self):
        os.makedirs(self.mountpoint, exist_ok=True)
        with open(self.image, 'wb') as image:
            image.truncate(self.mebibytes << 20)
        self._run('mkfs.ext4', '-q', '-F', self.image)
        self.device = self._run('losetup', '--find', '--show', '--direct-io=on', self.image).strip()
        self._run('mount', self.device, self.mountpoint)
        os.mkdir(self.path)
        return self

    def remount(self):
        self._run('umount', self.mountpoint)
        self._run('mount', self.device, self.mountpoint)

    def __exit__(self, *_):
        for command in (['umount', self.mountpoint], ['losetup', '-d', self.device]):
            subprocess.run(command, check=False)
        os.remove(self.image)

    @staticmethod
    def _run(*words):
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout
