"""Outside: talks to the world of a lab and runs programs inside its nodes."""
import array
import json
import os
import socket
import subprocess

from labkit import processes
from labkit.layout import BMC_USER, LabError, NODE_VIEW


class Client:
    def __init__(self, lab):
        self.lab = lab

    def call(self, command, **arguments):
        return self._exchange(command, **arguments)[0]

    def _exchange(self, command, **arguments):
        folder = os.open(self.lab.directory, os.O_PATH | os.O_DIRECTORY)
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(f"/proc/self/fd/{folder}/world.sock")
                connection.sendall(json.dumps({"command": command, **arguments}).encode() + b"\n")
                data, descriptors = _receive(connection)
        except (FileNotFoundError, ConnectionError):
            self.lab.settings   # says it better if there is no lab at all
            raise LabError(f"the lab in {self.lab.directory} is not running (tools/lab down, then up)") from None
        finally:
            os.close(folder)
        reply = json.loads(data)
        if "error" in reply:
            raise LabError(reply["error"])
        return reply, descriptors

    def is_running(self):
        try:
            self.call("ping")
            return True
        except LabError:
            return False

    def node_pid(self, node):
        """Process id, on this side, of the node's init; None while the node has no power."""
        reply, descriptors = self._exchange("open", node=node)
        try:
            if not reply["ok"]:
                return None
            with open(f"/proc/self/fdinfo/{descriptors[0]}", encoding="ascii") as file:
                fields = dict(line.split(":", 1) for line in file)
            pid = int(fields["Pid"])
            return pid if pid > 0 else None
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def enter(self, node, command, directory="/"):
        """The command line and environment that run `command` inside the node."""
        pid = self.node_pid(node)
        if pid is None:
            raise LabError(f"node {node} has no power")
        step_in = 'cd "$0" 2>/dev/null || cd /; exec "$@"'
        line = ["nsenter", "-t", str(pid), "-m", "-u", "-i", "-n", "-p", "--", "sh", "-c", step_in, directory, *command]
        environment = dict(os.environ, CFS_LAB_OF=self.lab.directory)
        environment["PATH"] = f"{NODE_VIEW}/bin:" + environment.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
        return line, environment

    def run(self, node, command, timeout=10):
        """Runs a command inside a node: (exit status or None, output, errors). None: no answer in time."""
        line, environment = self.enter(node, command)
        process = subprocess.Popen(line, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, start_new_session=True)
        try:
            output, errors = process.communicate(timeout=timeout)
            return process.returncode, output, errors
        except subprocess.TimeoutExpired:
            process.kill()      # not waited for: what hangs in a frozen filesystem does not die now
            return None, "", f"no answer in {timeout} s"

    def ipmi(self, node, *arguments, timeout=120):
        pid, _ = processes.recorded_world(self.lab)
        if pid is None:
            raise LabError(f"the lab in {self.lab.directory} is not running")
        line = ["nsenter", "-t", str(pid), "-n", "--", "ipmitool", "-I", "lanplus", "-H", self.lab.bmc_address(node),
                "-U", BMC_USER, "-f", self.lab.path(node, "etc", "cfs", f"bmc-{node}.password"), "-C", "3", *arguments]
        try:
            return subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise LabError(f"the BMC of node {node} does not answer in {timeout} s") from None


def _receive(connection):
    data, descriptors = b"", array.array("i")
    size = descriptors.itemsize
    while not data.endswith(b"\n"):
        part, extra, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(4 * size))
        if not part:
            raise ConnectionResetError("the world ended")
        data += part
        for level, kind, content in extra:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(content[:len(content) - len(content) % size])
    return data, list(descriptors)
