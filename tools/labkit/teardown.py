"""Outside: ends a lab and removes what it made, also when parts of it died before."""
import os
import shutil

from labkit import processes
from labkit.layout import MARKER, LabError

TIMEOUT = 30
_MADE = ("world.json", "world.sock", "world.sock.new", "world.log", "probe", "bin")


def stop(lab):
    """Ends every process of the lab; with them end its mounts and namespaces."""
    world, namespaces = processes.recorded_world(lab)
    found = set(processes.in_namespaces(namespaces)) | set(processes.mentions(lab.directory))
    if world is not None:
        processes.abort_fuse(processes.own_fuse_connections(found), f"/proc/{world}/root")
        found.add(world)
    left = processes.kill(found, TIMEOUT)
    left += processes.kill(processes.mentions(lab.directory), TIMEOUT)
    if left:
        raise LabError(f"these processes of the lab do not die: {' '.join(map(str, left))}")


def remove(lab, keep_logs=False):
    for node in lab.nodes:
        _remove_node(lab, node, keep_logs)
    for name in _MADE + ((() if keep_logs else (MARKER,))):
        try:
            os.unlink(lab.path(name))
        except (FileNotFoundError, IsADirectoryError):
            pass
    if not keep_logs and lab.settings.get("made_directory"):
        try:
            os.rmdir(lab.directory)
        except OSError:
            pass    # somebody put something else there


def _remove_node(lab, node, keep_logs):
    folder = lab.path(node)
    if not os.path.isdir(folder):
        return
    for path, _, _ in os.walk(folder):
        if os.path.ismount(path):
            raise LabError(f"{path} is a mount: unmount it first")
    if not keep_logs:
        shutil.rmtree(folder)
        return
    for entry in os.scandir(folder):
        if entry.name != "log":
            shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)
