"""A filesystem image mounted by mount.cfs with -o local, in a directory of its own."""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time


class CheckFailed(Exception):
    pass


def expect(condition, text):
    if not condition:
        raise CheckFailed(text)


def binaries():
    build = os.environ.get("CFS_BUILD", "build/release")
    return os.environ.get("CFS_BIN", os.path.join(build, "bin"))


def run(*command, **options):
    """Runs a command that must succeed; returns what it wrote."""
    done = subprocess.run(command, capture_output=True, text=True, errors="surrogateescape", **options)
    expect(done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


class Mounted:
    def __init__(self, size, options=""):
        self.folder = tempfile.mkdtemp(prefix="cfs-mount-")
        self.image = f"{self.folder}/image"
        self.path = f"{self.folder}/mnt"
        self.log = f"{self.folder}/log"
        self.options = options
        self.environment = dict(os.environ, CFS_RUN_DIR=f"{self.folder}/run")
        os.makedirs(self.path)
        os.makedirs(f"{self.folder}/run")
        with open(self.image, "wb") as image:
            image.truncate(size)
        run(f"{binaries()}/mkfs.cfs", self.image, env=self.environment)

    def __enter__(self):
        self.mount()
        return self

    def __exit__(self, *_):
        try:
            if os.path.ismount(self.path):
                subprocess.run(["umount", "-l", self.path])
                self.wait_ended()
        finally:
            if sys.exc_info()[0] is not None and os.path.exists(self.log):
                with open(self.log, errors="replace") as log:
                    sys.stderr.write(log.read()[-3000:])
            shutil.rmtree(self.folder, ignore_errors=True)

    def mount(self, options=""):
        both = ",".join(o for o in ("local", f"log={self.log}", self.options, options) if o)
        run(f"{binaries()}/mount.cfs", self.image, self.path, "-o", both, env=self.environment, stdin=subprocess.DEVNULL)
        self.process = self.status()["process"]

    def umount(self):
        run("umount", self.path)
        expect(self.wait_ended(), "mount.cfs is still there 300 s after the umount")

    def crash(self):
        os.kill(self.process, 9)
        self.wait_ended()
        run("umount", "-l", self.path)

    def wait_ended(self):
        return self.comes_true(lambda: not self.is_alive())

    @staticmethod
    def comes_true(condition, seconds=300):
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def is_alive(self):
        """A zombie has ended: its parent is nobody who hurries."""
        try:
            with open(f"/proc/{self.process}/stat") as file:
                return file.read().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    def call(self, command):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(300)
            connection.connect(f"{self.folder}/run/cfs/mount-image.sock")
            connection.sendall(json.dumps({"command": command}).encode() + b"\n")
            answer = connection.makefile().readline()
        return json.loads(answer)

    def status(self):
        return self.call("status")["status"]

    def check_clean(self):
        """Not mounted: fsck finds nothing."""
        run(f"{binaries()}/fsck.cfs", "-n", "-f", self.image, env=self.environment)

    def remount_checked(self):
        self.umount()
        self.check_clean()
        self.mount()
