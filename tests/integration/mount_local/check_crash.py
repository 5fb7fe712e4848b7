"""mount.cfs is killed; what was synced is there, the rest is whole, fsck is clean."""
import os
import random
import subprocess
import time

from mounted import expect


def killed_while_busy(mounted):
    synced = f"{mounted.path}/synced"
    with open(synced, "wb") as file:
        file.write(b"s" * 100_000)
        file.flush()
        os.fsync(file.fileno())
    dice = random.Random(7)
    for _ in range(4):
        busy = subprocess.Popen(["sh", "-c", f"cd {mounted.path} && echo inside && rm -rf t && while cp -r /usr/include/linux t && "
                                             "rm -rf u && mv t u; do :; done"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        expect(busy.stdout.readline() == "inside\n", "nobody works in the mount")
        time.sleep(dice.uniform(0.2, 1.5))
        mounted.crash()
        busy.communicate(timeout=300)
        mounted.mount()
        with open(synced, "rb") as file:
            expect(file.read() == b"s" * 100_000, "what was synced is gone")
        mounted.remount_checked()


def every_fsync_counts(mounted):
    """Small files, each synced with its name, then a crash: all of them are there."""
    folder = os.open(mounted.path, os.O_RDONLY)
    for i in range(50):
        file = os.open(f"{mounted.path}/small{i}", os.O_CREAT | os.O_WRONLY)
        os.write(file, f"content {i}".encode() * 10)
        os.fsync(file)
        os.close(file)
        os.rename(f"{mounted.path}/small{i}", f"{mounted.path}/final{i}")
    os.fsync(folder)
    os.close(folder)
    mounted.crash()
    mounted.mount()
    for i in range(50):
        with open(f"{mounted.path}/final{i}") as file:
            expect(file.read() == f"content {i}" * 10, f"final{i}")


def orphans_are_deleted(mounted):
    free = os.statvfs(mounted.path).f_bfree
    files = []
    for i in range(5):
        file = os.open(f"{mounted.path}/open{i}", os.O_CREAT | os.O_WRONLY)
        os.write(file, b"o" * 2_000_000)
        os.fsync(file)
        os.unlink(f"{mounted.path}/open{i}")
        files.append(file)
    folder = os.open(mounted.path, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    mounted.crash()
    for file in files:
        try:
            os.close(file)
        except OSError:
            pass
    mounted.mount()
    expect(mounted.comes_true(lambda: abs(os.statvfs(mounted.path).f_bfree - free) < 64), "orphans kept their space over a crash")
    mounted.remount_checked()
    expect(abs(os.statvfs(mounted.path).f_bfree - free) < 64, "orphans are back after a remount")


CHECKS = [killed_while_busy, every_fsync_counts, orphans_are_deleted]
