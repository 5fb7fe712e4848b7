"""-o readmostly: the kernel opens, reads and closes what it knows without asking; data is as safe as without it."""
import fcntl
import mmap
import os
import signal
import threading

from mounted import Mounted, expect

SIZE = 512 * 1024 * 1024


def read(path):
    """Not by open(): that asks whether it is a terminal."""
    file = os.open(path, os.O_RDONLY)
    try:
        return b"".join(iter(lambda: os.read(file, 1 << 20), b""))
    finally:
        os.close(file)


def write(path, content):
    with open(path, "wb") as file:
        file.write(content)


def nobody_is_asked(mounted):
    """What is known is read while the daemon stands still."""
    path = f"{mounted.path}/known"
    write(path, b"k" * 10000)
    read(path)
    seen = []
    reader = threading.Thread(target=lambda: seen.extend(read(path) for _ in range(100)), daemon=True)
    os.kill(mounted.process, signal.SIGSTOP)
    try:
        reader.start()
        reader.join(300)
        waits = reader.is_alive()
    finally:
        os.kill(mounted.process, signal.SIGCONT)
    reader.join(300)
    expect(not waits and seen == [b"k" * 10000] * 100, f"{len(seen)} of 100 reads did without the daemon")


def files_change(mounted):
    path = f"{mounted.path}/file"
    write(path, b"a" * 5000)
    read(path)
    write(path, b"short")  # O_TRUNC, without the descriptor that made it
    expect(read(path) == b"short", "a truncated file")
    with open(path, "r+b") as file:
        file.seek(4094)
        file.write(b"across")
    expect(read(path) == b"short".ljust(4094, b"\0") + b"across", "a hole and a write across pages")
    logs = [os.open(path, os.O_WRONLY | os.O_APPEND) for _ in range(2)]
    for number in range(50):
        os.write(logs[number % 2], b"%04d\n" % number)
    for log in logs:
        os.close(log)
    expect(read(path)[4100:] == b"".join(b"%04d\n" % number for number in range(50)), "appended lines")
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[0:5] = b"SHORT"
        memory.flush()
    expect(read(path).startswith(b"SHORT\0"), "a mapping")
    os.truncate(path, 3)
    expect(read(path) == b"SHO", "a file cut off")


def removed_while_open(mounted):
    free = os.statvfs(mounted.path).f_bfree
    for change in ("unlink", "rename"):
        path, content = f"{mounted.path}/victim", os.urandom(3 << 20)
        write(path, content)
        with open(path, "rb") as file:
            if change == "unlink":
                os.unlink(path)
            else:
                write(path + ".new", b"new")
                os.rename(path + ".new", path)
            with open(f"/proc/self/fd/{file.fileno()}", "rb") as again:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                expect(file.read() == content and again.read(10) == content[:10], f"read after {change}")
    os.unlink(path)
    os.sync()
    expect(mounted.comes_true(lambda: free - os.statvfs(mounted.path).f_bfree <= 64), "the space of what was removed is free again")


def locks_are_the_nodes_own(mounted):
    path = f"{mounted.path}/lock"
    write(path, b"")
    with open(path, "r+b") as one, open(path, "r+b") as other:
        fcntl.flock(one, fcntl.LOCK_EX)
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            expect(False, "two have the lock")
        except BlockingIOError:
            pass


def readmostly():
    with Mounted(SIZE, "readmostly") as mounted:
        for check in (nobody_is_asked, files_change, removed_while_open, locks_are_the_nodes_own):
            check(mounted)
        mounted.umount()
        mounted.check_clean()


readmostly.mounts_itself = True
CHECKS = [readmostly]
