"""Inside: the world of a lab. Holds the networks, the BMCs and the nodes, and does what the command line asks.

Started as `world.py DIRECTORY`; returns when the world's first process exists and is written down in world.json.
"""
import array
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
from labkit import processes, syscalls  # noqa: E402
from labkit.layout import NETWORKS, Layout  # noqa: E402

OFF_TIMEOUT = 15


def ip_batch(lines, force=False):
    command = ["ip", *(["-force"] if force else []), "-batch", "-"]
    done = subprocess.run(command, input="\n".join(lines) + "\n", text=True, capture_output=True)
    if done.returncode != 0 and not force:
        raise RuntimeError(f"ip: {done.stderr.strip()}")


class Node:
    """Power of one node, as its BMC sees it. Every method may be called from any thread."""

    def __init__(self, lab, name, world):
        self.lab, self.name, self.world = lab, name, world
        self.lock = threading.RLock()
        self.process = None         # file descriptor (pidfd) of the node's init while it has power
        self.pid = None
        self.launcher = None
        self.bmc_mode, self.bmc_delay = "ok", 5.0
        self.ipmi_sim = None

    def note(self, text):
        with open(self.lab.log(self.name, "power"), "a", encoding="utf-8") as log:
            log.write(f"{time.strftime('%H:%M:%S')}.{int(time.time() * 1000) % 1000:03d} {text}\n")

    def is_on(self):
        with self.lock:
            return self.process is not None and not _ended(self.process, 0)

    def power_on(self):
        with self.lock:
            if self.is_on():
                return
            self.power_off()        # forgets a node whose init died by itself
            self.note("power on")
            self.launcher = subprocess.Popen(
                [sys.executable, os.path.join(os.path.dirname(__file__), "node.py"), self.lab.directory, self.name],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(self.lab.log(self.name, "init"), "ab"),
                start_new_session=True)
            self.pid = int(self.launcher.stdout.readline())
            self.process = os.pidfd_open(self.pid)
            self.world.plug(self)
            self.launcher.stdin.write(b"go\n")
            self.launcher.stdin.close()

    def power_off(self):
        """The wire first, then everything at once: dying processes must not be able to say goodbye."""
        with self.lock:
            if self.process is None:
                return
            self.world.unplug(self)
            connections = processes.own_fuse_connections([self.pid])
            if not _ended(self.process, 0):
                self.note("power off")
                signal.pidfd_send_signal(self.process, signal.SIGKILL)
            if not _ended(self.process, 2):
                self.note(f"aborting FUSE connections {connections}, which hold the dead node's processes")
                processes.abort_fuse(connections)
            if not _ended(self.process, OFF_TIMEOUT):
                raise RuntimeError(f"node {self.name} does not die")
            self.launcher.wait()
            self.launcher.stdout.close()
            os.close(self.process)
            self.process = self.pid = self.launcher = None
            self.note("is off")

    def reset(self):
        with self.lock:
            self.power_off()
            self.power_on()

    def bmc_action(self, action):
        """What the chassis does when its BMC is told to; returns whether the BMC reports success."""
        self.note(f"BMC told: {action} (mode {self.bmc_mode})")
        act = {"on": self.power_on, "off": self.power_off, "reset": self.reset}[action]
        if self.bmc_mode == "fail":
            return False
        if self.bmc_mode == "slow":
            threading.Timer(self.bmc_delay, act).start()
        elif self.bmc_mode != "stuck":
            act()
        return True

    def start_bmc(self):
        self.ipmi_sim = subprocess.Popen(
            ["ipmi_sim", "-n", "-c", "bmc.conf", "-f", "bmc.emu", "-s", "state"], cwd=self.lab.path(self.name, "bmc"),
            stdin=subprocess.DEVNULL, stdout=open(self.lab.log(self.name, "bmc"), "ab"), stderr=subprocess.STDOUT)

    def set_bmc(self, mode, delay):
        with self.lock:
            self.note(f"BMC is {mode}")
            self.bmc_mode, self.bmc_delay = mode, delay
            self.ipmi_sim.send_signal(signal.SIGSTOP if mode == "hung" else signal.SIGCONT)


class World:
    def __init__(self, lab):
        self.lab = lab
        self.wires = threading.Lock()
        self.cut = set()
        self.nodes = {name: Node(lab, name, self) for name in lab.nodes}

    def build(self):
        lines = ["link set lo up"]
        for number, network in enumerate(NETWORKS):
            # An address of its own: else it takes that of its lowest port and changes it with every cable, and whoever
            # has the old one in its neighbour table talks to nobody for seconds.
            lines += [f"link add {network} address 02:cf:00:00:00:{number:02x} type bridge", f"link set {network} up"]
            lines.append(f"addr add 10.79.{number}.254/24 dev {network}")
        for name in self.nodes:
            lines.append(f"addr add {self.lab.bmc_address(name)}/24 dev management")
        ip_batch(lines)
        for node in self.nodes.values():
            node.start_bmc()

    def plug(self, node):
        with self.wires:
            lines = []
            for network in NETWORKS:
                wire = self.lab.wire(node.name, network)
                lines.append(f"link add {wire} type veth peer name {network} address {self.lab.hardware_address(node.name, network)}"
                             f" netns {node.pid}")
                lines.append(f"link set {wire} master {network}")
                lines.append(f"link set {wire} {'down' if network in self.cut else 'up'}")
            ip_batch(lines)

    def unplug(self, node):
        with self.wires:
            wires = [self.lab.wire(node.name, network) for network in NETWORKS]
            ip_batch([f"link set {wire} down" for wire in wires] + [f"link del {wire}" for wire in wires], force=True)

    def set_links(self, networks, cut):
        with self.wires:
            self.cut = self.cut | set(networks) if cut else self.cut - set(networks)
            wires = [self.lab.wire(name, network) for name, node in self.nodes.items() if node.process is not None
                     for network in networks]
            ip_batch([f"link set {wire} {'down' if cut else 'up'}" for wire in wires], force=True)

    def answer(self, request):
        """The reply to one request, and a file descriptor to pass along or None."""
        command = request["command"]
        node = self.nodes.get(request.get("node"))
        if command == "ping":
            return {"ok": True}, None
        if command == "power_state":
            return {"ok": True, "state": "on" if node.is_on() else "off"}, None
        if command == "open":
            with node.lock:
                return {"ok": node.is_on()}, node.process if node.is_on() else None
        if command == "bmc_action":
            return {"ok": node.bmc_action(request["action"])}, None
        if command == "crash":
            node.note("power cut")
            node.power_off()
            return {"ok": True}, None
        if command == "power_on":
            node.power_on()
            return {"ok": True}, None
        if command == "bmc_mode":
            node.set_bmc(request["mode"], request.get("delay", 5.0))
            return {"ok": True}, None
        if command == "links":
            self.set_links(request["networks"], request["cut"])
            return {"ok": True}, None
        if command == "overview":
            return {"ok": True, "cut": sorted(self.cut), "nodes": {
                name: {"power": "on" if each.is_on() else "off", "bmc": each.bmc_mode,
                       "bmc_running": each.ipmi_sim.poll() is None} for name, each in self.nodes.items()}}, None
        return {"ok": False, "error": f"unknown command {command}"}, None

    def serve_one(self, connection):
        with connection:
            descriptor = None
            try:
                reply, descriptor = self.answer(json.loads(connection.makefile().readline()))
            except Exception as error:  # the asker is told; the world goes on
                reply = {"ok": False, "error": str(error)}
            data = json.dumps(reply).encode() + b"\n"
            extra = [] if descriptor is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
            try:
                connection.sendmsg([data], extra)
            except OSError:
                pass

    def serve(self):
        self.build()
        listener = socket.socket(socket.AF_UNIX)
        os.chdir(self.lab.directory)    # the path of a socket is limited to 107 bytes
        listener.bind("world.sock.new")
        listener.listen(64)
        os.rename("world.sock.new", "world.sock")
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self.serve_one, args=(connection,), daemon=True).start()


def _ended(process, seconds):
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def live(lab):
    syscalls.make_mounts_private()
    syscalls.fresh_proc()
    processes.mount_fuse_control()
    syscalls.run_as_init(World(lab).serve, ends_with_work=True)


def main(directory):
    lab = Layout(directory)
    syscalls.unshare(syscalls.CLONE_NEWPID | syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWIPC)
    wait, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go)
        os.read(wait, 1)    # its own /proc would hide it from the one who writes it down
        os.close(wait)
        live(lab)
    processes.record_world(lab, pid)
    os.write(go, b"g")


if __name__ == "__main__":
    main(sys.argv[1])
