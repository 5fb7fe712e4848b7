"""Mounting, refusing to, unmounting, status."""
import os
import subprocess

from mounted import Mounted, binaries, expect, run

SIZE = 300 * 1024 * 1024


def refusals():
    mounted = Mounted(SIZE)
    with mounted:
        again = subprocess.run([f"{binaries()}/mount.cfs", mounted.image, mounted.path, "-o", "local"], env=mounted.environment,
                               capture_output=True, text=True)
        expect(again.returncode == 32 and "mounted" in again.stderr, f"a second mount: {again}")
        bad = subprocess.run([f"{binaries()}/mount.cfs", mounted.image, mounted.path, "-o", "local,nonsense"],
                             env=mounted.environment, capture_output=True, text=True)
        expect(bad.returncode == 1 and "nonsense" in bad.stderr, f"an unknown option: {bad}")
        garbage = f"{mounted.folder}/garbage"
        with open(garbage, "wb") as file:
            file.write(os.urandom(4_000_000))
        wrong = subprocess.run([f"{binaries()}/mount.cfs", garbage, mounted.path, "-o", "local"], env=mounted.environment,
                               capture_output=True, text=True)
        expect(wrong.returncode == 32 and wrong.stderr, f"no filesystem: {wrong}")
        mounted.umount()


def ends_by_signal():
    mounted = Mounted(SIZE)
    with mounted:
        with open(f"{mounted.path}/file", "w") as file:
            file.write("content")
        os.kill(mounted.process, 15)
        expect(mounted.wait_ended(), "SIGTERM did not end it")
        expect(not os.path.ismount(mounted.path), "still mounted")
        mounted.check_clean()
        mounted.mount()
        with open(f"{mounted.path}/file") as file:
            expect(file.read() == "content", "what was written before SIGTERM")
        mounted.umount()


def read_only():
    mounted = Mounted(SIZE)
    with mounted:
        with open(f"{mounted.path}/file", "w") as file:
            file.write("content")
        mounted.umount()
        before = run("md5sum", mounted.image)
        mounted.mount("ro")
        with open(f"{mounted.path}/file") as file:
            expect(file.read() == "content", "reading")
        expect(subprocess.run(["touch", f"{mounted.path}/other"], capture_output=True).returncode != 0, "wrote")
        mounted.umount()
        expect(before == run("md5sum", mounted.image), "a read-only mount changed the image")


def status(mounted):
    with open(f"{mounted.path}/file", "w"):
        known = mounted.status()
        expect(known["mount"]["phase"] == "running" and known["open_inodes"] >= 1, f"{known}")
    with open(f"{mounted.path}/appended", "wb", buffering=0) as file:
        file.write(bytes(5000))  # more than an inode holds itself
        # The journal may take a piece away between the write and the question, but not each time.
        expect(any(file.write(b"piece") and mounted.status()["dirty_tails"]["dirty"] == 1 for _ in range(10)), f"a dirty tail: {mounted.status()}")
        os.fsync(file.fileno())
        known = mounted.status()
        expect(known["dirty_tails"]["dirty"] == 0 and known["blocks_under_way"]["bytes"] == 0, f"after fsync: {known}")
    expect(not mounted.call("nonsense")["ok"], "an unknown command was accepted")
    space = os.statvfs(mounted.path)
    expect(space.f_bsize == 4096 and 0 < space.f_bavail <= space.f_bfree < space.f_blocks, f"{space}")
    expect(space.f_namemax == 255 and space.f_ffree > 0, f"{space}")


for check in (refusals, ends_by_signal, read_only):
    check.mounts_itself = True
CHECKS = [refusals, ends_by_signal, read_only, status]
