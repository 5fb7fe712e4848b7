"""Inside a node: what its init starts, in the order in which a machine's unit files would.

Daemons are not restarted when they die: the lab's users want to see that, in status and in the logs.
"""
import json
import os
import subprocess
import time

from labkit.layout import MOUNTPOINT, NODE_VIEW, RESOURCE, STAGES

STATE = f"{NODE_VIEW}/boot.json"
INSTALLED = f"{NODE_VIEW}/installed"    # there is a filesystem: bring the device up and mount it at every boot
RETRY = 0.3


def run(command, **options):
    return subprocess.run(command, text=True, check=True, **options)


def is_mounted(mountpoint=MOUNTPOINT, pid="self"):
    """Read from the mount table: touching a mount whose daemon is frozen would freeze us too."""
    try:
        with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return any(line.split()[4] == mountpoint for line in file)
    except OSError:
        return False


class Boot:
    def __init__(self, node, settings):
        self.node, self.settings = node, settings
        self.daemons = {}
        self.last_note = None

    def reaches(self, stage):
        return STAGES.index(self.settings["stage"]) >= STAGES.index(stage)

    def note(self, text):
        if text != self.last_note:
            self.last_note = text
            print(f"{time.strftime('%H:%M:%S')}.{int(time.time() * 1000) % 1000:03d} {text}", flush=True)

    def state(self, text):
        self.note(text)
        with open(STATE + ".new", "w", encoding="utf-8") as file:
            json.dump({"state": text, "daemons": {name: process.pid for name, process in self.daemons.items()}}, file)
        os.rename(STATE + ".new", STATE)

    def start(self, name, *arguments):
        log = open(f"{NODE_VIEW}/log/{name}.log", "ab")
        log.write(f"-- started {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())
        log.flush()
        self.daemons[name] = subprocess.Popen([name, *arguments], stdin=subprocess.DEVNULL, stdout=log,
                                              stderr=subprocess.STDOUT, start_new_session=True)
        log.close()

    def attempt(self, *command, timeout=60):
        """Runs a command whose failure is normal for a while (no quorum, no peer yet)."""
        try:
            done = subprocess.run(command, text=True, capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            self.note(f"{' '.join(command)}: no answer in {timeout} s")
            return False
        if done.returncode != 0:
            self.note(f"{' '.join(command)}: exit {done.returncode}: {(done.stderr or done.stdout).strip()}")
        return done.returncode == 0

    def until(self, condition):
        while not condition():
            time.sleep(RETRY)

    def run(self):
        self.state("starting corosync")
        self.start("corosync", "-f")
        while subprocess.run(["corosync-cmapctl", "-g", "totem.token"], capture_output=True).returncode != 0:
            time.sleep(0.05)
        if self.reaches("fencing"):
            self.start("cfs-fenced")
        if self.reaches("device"):
            self.start("blockrepd")
        self.state("daemons running")
        if self.reaches("device"):
            while not os.path.exists(INSTALLED):
                time.sleep(0.05)
            self.start_services()

    def start_services(self):
        self.state("bringing the device up")
        self.until(self.device_is_up)
        self.state("becoming primary")
        self.until(lambda: self.attempt("blockrepadm", "primary", RESOURCE))
        if self.reaches("all") and self.settings["mount"]:
            self.state("mounting")
            self.until(self.mount)
            self.state("mounted")
        else:
            self.state("primary")

    def device_is_up(self):
        known = subprocess.run(["blockrepadm", "status", RESOURCE], capture_output=True).returncode == 0
        return known or self.attempt("blockrepadm", "up", RESOURCE)

    def mount(self):
        """mount.cfs may stay in the foreground or not: mounted is what the mount table says."""
        with open(f"{NODE_VIEW}/log/mount.cfs.log", "ab") as log:
            helper = subprocess.Popen(["mount.cfs", RESOURCE, MOUNTPOINT], stdin=subprocess.DEVNULL, stdout=log,
                                      stderr=log, start_new_session=True)
        while not is_mounted():
            if helper.poll() is not None and not is_mounted():
                self.note(f"mount.cfs ended with {helper.returncode}, see mount.cfs.log")
                return False
            time.sleep(0.02)
        return True
