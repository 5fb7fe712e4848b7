"""Names, addresses and paths of a lab: the facts that every part agrees on."""
import json
import os
import string

NETWORKS = ("management", "replication", "cluster")
CUTTABLE = {"replication": ("replication",), "cluster": ("cluster",), "management": ("management",),
            "all": ("replication", "cluster")}
STAGES = ("corosync", "fencing", "device", "all")
DISK = {"file": "disk.img", "loop": "disk"}     # what blockrepd opens in a node's directory
BMC_MODES = ("ok", "stuck", "slow", "fail", "hung")
RESOURCE = "r0"
MOUNTPOINT = "/srv/www"
NBD_URI = f"nbd+unix:///{RESOURCE}?socket=/run/blockrep/nbd.sock"
NODE_VIEW = "/run/lab"          # where a node sees its own directory of the lab
MARKER = "lab.json"             # a directory with this file belongs to a lab
BMC_USER = "fence"


class LabError(Exception):
    """What the user is told; exit status 1."""


def repository():
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


def default_directory():
    return os.environ.get("CFS_LAB_DIR") or os.path.join(repository(), "build", "lab")


class Layout:
    """One lab directory. Reading the settings of a directory without a lab raises LabError."""

    def __init__(self, directory, settings=None):
        self.directory = os.path.abspath(directory)
        self._settings = settings

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def exists(self):
        return os.path.exists(self.path(MARKER))

    @property
    def settings(self):
        if self._settings is None:
            try:
                with open(self.path(MARKER), encoding="utf-8") as file:
                    self._settings = json.load(file)
            except FileNotFoundError:
                raise LabError(f"there is no lab in {self.directory} (tools/lab up makes one)") from None
        return self._settings

    def save_settings(self):
        write_file(self.path(MARKER), json.dumps(self.settings, indent=1) + "\n")

    @property
    def nodes(self):
        return self.settings["nodes"]

    def require_node(self, name):
        if name not in self.nodes:
            raise LabError(f"there is no node {name} in this lab (nodes: {' '.join(self.nodes)})")
        return name

    def reaches(self, stage):
        """True if this lab starts what `stage` names."""
        return STAGES.index(self.settings["stage"]) >= STAGES.index(stage)

    # The nth node has host number n on every network; its BMC is n + 10 on the management network.
    def number(self, node):
        return self.nodes.index(node) + 1

    def address(self, node, network):
        return f"10.79.{NETWORKS.index(network)}.{self.number(node)}"

    def bmc_address(self, node):
        return f"10.79.0.{self.number(node) + 10}"

    def hardware_address(self, node, network):
        """The same after every boot, as a card's is: the others' neighbour tables stay right."""
        return f"02:cf:00:00:{NETWORKS.index(network) + 1:02x}:{self.number(node):02x}"

    def wire(self, node, network):
        """Name of the world's end of a node's cable."""
        return f"{node}-{network[:4]}"

    def log(self, node, name):
        return self.path(node, "log", f"{name}.log")


def node_names(count):
    return list(string.ascii_lowercase[:count])


def write_file(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = path + ".new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, mode)
        file.write(text)
    os.rename(temporary, path)


def product_path():
    """PATH inside a node: the binaries under test first."""
    return f"{NODE_VIEW}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
