"""Inside: one node. `node.py LAB NODE` makes the namespaces, prints the pid of the node's init, and waits for it.

Its standard input says go when the network cables are plugged in.
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
from labkit import boot, loop, syscalls  # noqa: E402
from labkit.layout import DISK, NETWORKS, NODE_VIEW, Layout, product_path  # noqa: E402

PRIVATE_STATE = ("corosync", "cfs", "blockrep")


def _directory(path):
    """A handle on a directory that stays valid when something is mounted over its path."""
    return f"/proc/self/fd/{os.open(path, os.O_PATH | os.O_DIRECTORY)}"


def mount_all(lab, node):
    syscalls.make_mounts_private()
    syscalls.fresh_proc()
    own = _directory(lab.path(node))
    binaries = _directory(lab.settings["binaries"]) if lab.settings["binaries"] else None
    _mount_state(own)
    syscalls.bind(f"{own}/etc", "/etc")
    syscalls.bind(f"{own}/srv", "/srv")
    syscalls.tmpfs("/dev/shm", "1777")
    syscalls.tmpfs("/run")
    os.makedirs(NODE_VIEW)
    os.makedirs("/run/lock")
    syscalls.bind(own, NODE_VIEW, with_submounts=False)
    if binaries:
        syscalls.bind(binaries, f"{NODE_VIEW}/bin")
        _install_helpers()


def _install_helpers():
    """mount(8), fsck(8) and mkfs(8) look for their helpers in /sbin, whatever PATH says: there they must be."""
    folder, host = os.path.realpath("/sbin"), "/run/host-sbin"
    os.makedirs(host)
    syscalls.bind(folder, host)
    syscalls.tmpfs(folder)
    for name in os.listdir(host):
        os.symlink(f"{host}/{name}", f"{folder}/{name}")
    for name in os.listdir(f"{NODE_VIEW}/bin"):
        if name.endswith(".cfs"):
            temporary = f"{folder}/.{name}"
            os.symlink(f"{NODE_VIEW}/bin/{name}", temporary)
            os.rename(temporary, f"{folder}/{name}")


def _mount_state(own):
    """/var/lib of the host, with the folders of our own daemons replaced by the node's."""
    state = f"{own}/lib"
    for name in PRIVATE_STATE:
        os.makedirs(f"{state}/{name}", exist_ok=True)
    for entry in os.scandir("/var/lib"):
        if entry.is_dir(follow_symlinks=False) and entry.name not in PRIVATE_STATE:
            os.makedirs(f"{state}/{entry.name}", exist_ok=True)
            syscalls.bind(entry.path, f"{state}/{entry.name}")
    syscalls.bind(state, "/var/lib")


def configure_network(lab, node):
    lines = ["link set lo up"]
    for network in NETWORKS:
        lines += [f"addr add {lab.address(node, network)}/24 dev {network}", f"link set {network} up"]
    boot.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n")


def make_disk():
    """A device that goes when the node's init, which holds it, does."""
    path, _ = loop.make(f"{NODE_VIEW}/disk.img")
    link = f"{NODE_VIEW}/{DISK['loop']}"
    if os.path.lexists(link):
        os.unlink(link)
    os.symlink(path, link)


def live(lab, node):
    """The life of the node's init."""
    if sys.stdin.readline() != "go\n":
        os._exit(1)
    os.setsid()
    log = os.open(lab.log(node, "boot"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null = os.open("/dev/null", os.O_RDONLY)
    mount_all(lab, node)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, 256)
    os.chdir("/")
    import socket
    socket.sethostname(node)
    os.environ.clear()
    os.environ.update({"PATH": product_path(), "HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb",
                       "CFS_LAB_OF": lab.directory})
    configure_network(lab, node)
    if lab.settings.get("disks") == "loop":
        make_disk()
    syscalls.run_as_init(lambda: boot.Boot(node, lab.settings).run(), ends_with_work=False)


def main(directory, node):
    lab = Layout(directory)
    lab.settings  # read before the mounts change what is where
    syscalls.unshare(syscalls.CLONE_NEWPID | syscalls.CLONE_NEWNS | syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWNET
                     | syscalls.CLONE_NEWIPC)
    pid = os.fork()
    if pid == 0:
        live(lab, node)
    os.close(0)
    print(pid, flush=True)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
