"""Two blockrepd on one machine, without fencing: nodes a and b, each with its own /etc, /run and disk."""
import json
import os
import shutil
import signal
import socket
import subprocess

from verdicts import Broken, Lost, eventually, expect_safe


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Node:
    def __init__(self, pair, name, port, peer_port):
        self.pair, self.name = pair, name
        self.folder = os.path.join(pair.directory, name)
        self.disk = os.path.join(self.folder, "disk.img")
        os.makedirs(os.path.join(self.folder, "etc/blockrep.d"))
        os.makedirs(os.path.join(self.folder, "run"))
        self.process = None
        self.environment = dict(os.environ, CFS_NODE_NAME=name, CFS_RUN_DIR=os.path.join(self.folder, "run"),
                                CFS_ETC_DIR=os.path.join(self.folder, "etc"))

    def write_config(self, text):
        with open(os.path.join(self.folder, "etc/blockrep.conf"), "w", encoding="utf-8") as file:
            file.write('include "blockrep.d/*.res";\n')
        with open(os.path.join(self.folder, "etc/blockrep.d/r0.res"), "w", encoding="utf-8") as file:
            file.write(text)

    def make_disk(self, size):
        with open(self.disk, "wb") as disk:
            disk.truncate(size)

    def start(self):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen([self.pair.program("blockrepd"), "--no-fencing"], env=self.environment,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.pair.wait_for(f"{self.name}: blockrepd answers", lambda: self.adm("status", check=False).returncode == 0)

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        status = self.process.wait(300)
        self.process = None
        return status

    def adm(self, *arguments, check=True, timeout=300):
        done = subprocess.run([self.pair.program("blockrepadm"), *arguments], env=self.environment, text=True,
                              capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL)
        if check and done.returncode != 0:
            raise Broken(f"{self.name}: blockrepadm {' '.join(arguments)}: exit {done.returncode}: {done.stderr.strip()}")
        return done

    def status(self):
        return json.loads(self.adm("status", "r0", "--json").stdout)[0]

    def state(self, command):
        return self.adm(command, "r0").stdout.strip()

    @property
    def uri(self):
        return f"nbd+unix:///r0?socket={self.folder}/run/blockrep/nbd.sock"


class Pair:
    def __init__(self, directory, binaries, size=96 << 20):
        self.directory, self.binaries, self.size = directory, binaries, size
        shutil.rmtree(directory, ignore_errors=True)
        port_a, port_b = free_port(), free_port()
        self.a = Node(self, "a", port_a, port_b)
        self.b = Node(self, "b", port_b, port_a)
        self.nodes = (self.a, self.b)
        hosts = "".join(f"""
    on {node.name} {{
        node-id {number};
        device minor 0;
        disk {node.disk};
        meta-disk internal;
        address 127.0.0.1:{port};
    }}""" for number, (node, port) in enumerate(zip(self.nodes, (port_a, port_b))))
        for node in self.nodes:
            node.write_config(f"""resource r0 {{
    net {{
        protocol C;
        allow-two-primaries yes;
        cram-hmac-alg sha256;
        shared-secret "a secret of the tests";
    }}{hosts}
}}
""")
            node.make_disk(size)

    def program(self, name):
        return os.path.join(self.binaries, name)

    def wait_for(self, what, condition, timeout=300):
        try:
            eventually(condition, what, timeout, 0.05)
        except Broken as broken:
            raise Broken(f"{broken}; {self.describe()}") from None

    def describe(self):
        said = []
        for node in self.nodes:
            if node.process is not None:
                said.append(node.adm("status", check=False).stdout.strip().replace("\n", " "))
        return "; ".join(said)

    def install(self):
        """New replicas, both daemons up, connected; a is Primary and has been copied to b."""
        for node in self.nodes:
            node.adm("create-md", "--force", "r0")
            node.start()
            node.adm("up", "r0")
        for node in self.nodes:
            node.adm("wait-connect", "r0", "--timeout", "300")
        self.a.adm("primary", "--force", "r0")
        self.wait_synced()

    def wait_synced(self, timeout=300):
        for node in self.nodes:
            self.wait_for(f"{node.name}: both UpToDate", lambda node=node: (
                node.state("cstate") == "Connected" and node.state("dstate") == "UpToDate/UpToDate"), timeout)

    def both_primary(self):
        for node in self.nodes:
            node.adm("primary", "r0")

    def run(self, *command, check=True, timeout=1200):
        done = subprocess.run(command, text=True, capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL,
                              cwd=self.directory)
        if check and done.returncode != 0:  # they read what was written, and nobody is shot here: no machine excuses them
            raise Lost(f"{' '.join(command)}: exit {done.returncode}: {(done.stderr or done.stdout).strip()[-800:]}")
        return done

    def data_size(self):
        return self.a.status()["devices"][0]["size"]

    def compare_replicas(self):
        """Equal outside the metadata, which is at the end."""
        size = self.data_size()
        for node in self.nodes:
            os.sync()
        with open(self.a.disk, "rb") as first, open(self.b.disk, "rb") as second:
            for offset in range(0, size, 1 << 20):
                length = min(1 << 20, size - offset)
                expect_safe(first.read(length) == second.read(length), f"the replicas differ in the MiB at {offset}")

    def end(self):
        for node in self.nodes:
            if node.process is not None:
                node.kill()
