"""Runs tools/lab's verbs for programs: the tests and the demo see the lab only through its command line."""
import json
import os
import subprocess
import time

LAB = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lab')


class LabError(Exception):
    """A verb failed; carries what it said."""


def _run(command, timeout, **options):
    try:
        return subprocess.run(command, text=True, timeout=timeout, check=False, **options)
    except subprocess.TimeoutExpired:
        raise LabError(f'{" ".join(command)}: no end within {timeout} s') from None


class LabClient:
    """One lab in one directory."""

    def __init__(self, directory):
        self.directory = os.path.abspath(directory)

    def verb(self, *words, timeout=180, check=True):
        """Runs `tools/lab WORDS… --dir DIR`; its standard output."""
        command = [LAB, words[0], '--dir', self.directory, *words[1:]]
        done = _run(command, timeout, capture_output=True)
        if check and done.returncode != 0:
            raise LabError(f'{" ".join(command)}: exit status {done.returncode}\n{done.stdout}{done.stderr}')
        return done.stdout

    def up(self, *options, timeout=900):
        self.verb('up', *options, timeout=timeout)

    def down(self):
        self.verb('down')

    def command(self, node, *words):
        """The argument list that runs WORDS inside a node."""
        return [LAB, 'exec', node, '--dir', self.directory, '--', *map(str, words)]

    def popen(self, node, *words, **options):
        options.setdefault('text', True)
        return subprocess.Popen(self.command(node, *words), **options)

    def run(self, node, *words, timeout=300, check=True, **options):
        """Runs WORDS inside a node to their end; the completed process, with its output as text."""
        options.setdefault('capture_output', True)
        done = _run(self.command(node, *words), timeout, **options)
        if check and done.returncode != 0:
            raise LabError(f'on {node}: {" ".join(map(str, words))}: exit status {done.returncode}\n'
                           f'{done.stdout or ""}{done.stderr or ""}')
        return done

    def output(self, node, *words, **options):
        return self.run(node, *words, **options).stdout

    def mountpoint(self, node):
        return self.verb('mountpoint', node).strip()

    def device(self, node):
        return self.verb('device', node).strip()

    def status(self):
        return json.loads(self.verb('status', '--json', timeout=60))

    def wait_healthy(self, seconds=300):
        self.verb('wait', 'healthy', '--timeout', str(seconds), timeout=seconds + 30)

    def device_status(self, node):
        """blockrepadm's own report of r0."""
        return json.loads(self.output(node, 'blockrepadm', 'status', 'r0', '--json', timeout=60))

    def disk(self, node):
        """The file on this machine that is the node's backing disk."""
        return os.path.join(self.directory, node, 'disk.img')

    def log(self, node, daemon):
        """What a daemon of the node has logged so far."""
        with open(os.path.join(self.directory, node, 'log', f'{daemon}.log'), errors='replace') as file:
            return file.read()


def boot_seconds():
    """The clock that this machine and all nodes share."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
