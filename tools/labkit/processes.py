"""Which processes belong to a lab, found again also when the lab's own bookkeeping is gone."""
import json
import os
import signal
import time

from labkit import syscalls
from labkit.layout import write_file

_FUSE_CONTROL = "/sys/fs/fuse/connections"
NAMESPACES = ("pid", "mnt", "net")


def start_time(pid):
    """Clock ticks since boot at which the process started: with the pid, its identity. None if there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return int(file.read().rsplit(")", 1)[1].split()[19])
    except (OSError, IndexError):
        return None


def namespace(pid, kind):
    try:
        return os.stat(f"/proc/{pid}/ns/{kind}").st_ino
    except OSError:
        return None


def record_world(lab, pid):
    inodes = {kind: namespace(pid, kind) for kind in NAMESPACES}
    write_file(lab.path("world.json"), json.dumps({"pid": pid, "start": start_time(pid), "namespaces": inodes}))


def recorded_world(lab):
    """(pid, inodes of its namespaces), or (None, {}) if it no longer lives: with it end all processes in its namespaces, and
    the kernel gives their numbers to new ones, of another lab perhaps."""
    try:
        with open(lab.path("world.json"), encoding="utf-8") as file:
            record = json.load(file)
    except (OSError, ValueError):
        return None, {}
    pid, start = record["pid"], record["start"]
    alive = start is not None and start_time(pid) == start and not _is_zombie(pid)
    return (pid, record["namespaces"]) if alive else (None, {})


def _is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except (OSError, IndexError):
        return True


def in_namespaces(inodes):
    """Processes that are in one of these namespaces, whoever started them, and never those of our own."""
    wanted = {kind: inode for kind, inode in inodes.items() if inode and inode != namespace("self", kind)}
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and any(namespace(entry, kind) == inode for kind, inode in wanted.items()):
            if not _is_zombie(entry):
                found.append(int(entry))
    return found


def mentions(directory):
    """Processes whose environment or directory says that they belong to this lab."""
    mark = f"CFS_LAB_OF={directory}".encode()
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:
                if mark in file.read().split(b"\0") and not _is_zombie(entry):
                    found.append(int(entry))
        except OSError:
            pass
    return found


def kill(pids, timeout):
    """Kills and waits; returns those that still live."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    deadline = time.monotonic() + timeout
    left = list(pids)
    while left and time.monotonic() < deadline:
        left = [pid for pid in left if not _is_zombie(pid)]
        if left:
            time.sleep(0.02)
    return left


# A process that waits for a FUSE daemon which is dead but not yet gone cannot be killed; aborting the connection frees it.

def fuse_connections(pid):
    """Numbers of the FUSE connections mounted in the process's namespace, read without touching the mounts."""
    numbers = []
    try:
        with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                fields, _, rest = line.partition(" - ")
                kind = rest.split()[0]
                if kind == "fuse" or kind.startswith("fuse."):
                    major, minor = fields.split()[2].split(":")
                    numbers.append((int(major) << 20) | int(minor))
    except (OSError, IndexError, ValueError):
        pass
    return numbers


def own_fuse_connections(pids):
    """Those of the namespaces of these processes that are not ours as well: the host's mounts are visible in a node."""
    seen, numbers = set(), set()
    for pid in pids:
        space = namespace(pid, "mnt")
        if space is not None and space not in seen:
            seen.add(space)
            numbers.update(fuse_connections(pid))
    return numbers - set(fuse_connections("self"))


def mount_fuse_control():
    try:
        syscalls.mount("fusectl", _FUSE_CONTROL, "fusectl")
    except OSError:
        pass    # no FUSE module loaded yet, or mounted already: then aborting is done with what is there


def abort_fuse(numbers, root="/"):
    """`root`: of a process that sees the control files."""
    for number in numbers:
        try:
            with open(os.path.join(root, _FUSE_CONTROL[1:], str(number), "abort"), "w", encoding="ascii") as file:
                file.write("1")
        except OSError:
            pass
