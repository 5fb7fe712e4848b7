"""Outside: makes a lab and brings it to the point where both nodes have the filesystem mounted."""
import concurrent.futures
import glob
import os
import shutil
import subprocess
import sys
import time

from labkit import config, status, teardown
from labkit.client import Client
from labkit.layout import RESOURCE, LabError, Layout, node_names, repository

PRODUCT = {"corosync": (), "fencing": ("cfs-fenced", "cfs-fence"), "device": ("blockrepd", "blockrepadm", "cfs-fenced", "cfs-fence"),
           "all": ("blockrepd", "blockrepadm", "cfs-fenced", "cfs-fence", "mkfs.cfs", "mount.cfs")}
NEEDED = ("corosync", "corosync-quorumtool", "ipmi_sim", "ipmitool", "ip", "nsenter", "tar")


def say(text):
    print(f"lab: {text}", file=sys.stderr, flush=True)


def parse_size(text):
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
    number, unit = (text[:-1], units.get(text[-1:].upper())) if text[-1:].isalpha() else (text, 1)
    try:
        size = int(number) * unit
    except (ValueError, TypeError):
        raise LabError(f"--size {text}: a number with K, M, G or T is expected") from None
    if size < 64 << 20 or size % 4096:
        raise LabError(f"--size {text}: at least 64M, in steps of 4K")
    return size


def find_binaries(stage):
    """The folder of the programs under test: $CFS_BIN, $CFS_BUILD/bin, or the newest build that has them all."""
    wanted = PRODUCT[stage]
    if not wanted:
        return None
    named = os.environ.get("CFS_BIN") or (os.environ.get("CFS_BUILD") and os.path.join(os.environ["CFS_BUILD"], "bin"))
    folders = [named] if named else glob.glob(os.path.join(repository(), "build", "*", "bin"))
    complete = [folder for folder in folders if all(os.access(os.path.join(folder, name), os.X_OK) for name in wanted)]
    if not complete:
        if not named and all(shutil.which(name) for name in wanted):
            return None     # installed
        where = named or os.path.join(repository(), "build", "*", "bin")
        raise LabError(f"--stage {stage} needs {' '.join(wanted)}: not all are in {where} (build first, or set CFS_BIN)")

    def age(folder):
        return max(os.stat(os.path.join(folder, name)).st_mtime for name in wanted)
    return os.path.abspath(max(complete, key=age))


def check_machine():
    if os.geteuid() != 0:
        raise LabError("the nodes are made of namespaces and mounts; run this as root")
    os.environ["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        raise LabError(f"not installed: {' '.join(missing)} (tools/install-packages)")


def was_interrupted(lab):
    """Its maker was killed before it was done, but its world runs."""
    starter = lab.settings.get("starter")
    return starter is not None and not os.path.exists(f"/proc/{starter}")


def mark_done(lab):
    """From now on nobody clears it because its maker has ended."""
    lab.settings["starter"] = None
    lab.save_settings()


def prepare_directory(path):
    """An empty directory, cleared of a dead lab; returns whether it was made here."""
    lab = Layout(path)
    if lab.exists():
        if Client(lab).is_running() and not was_interrupted(lab):
            raise LabError(f"the lab in {lab.directory} is up already (tools/lab down ends it)")
        made = lab.settings.get("made_directory", False)
        teardown.stop(lab)
        teardown.remove(lab)
        os.makedirs(lab.directory, exist_ok=True)
        return made
    if os.path.isdir(lab.directory):
        if os.listdir(lab.directory):
            raise LabError(f"{lab.directory} is not empty and holds no lab")
        return False
    os.makedirs(lab.directory)
    return True


def check_direct_io(lab):
    """The replicated device writes past the page cache; a directory on tmpfs of an old kernel cannot do that."""
    probe = lab.path("probe")
    try:
        os.close(os.open(probe, os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o600))
    except OSError as error:
        raise LabError(f"the filesystem of {lab.directory} has no O_DIRECT ({error.strerror}); choose another --dir") from None
    finally:
        if os.path.exists(probe):
            os.unlink(probe)


def write_everything(lab, size):
    for node in lab.nodes:
        for folder in ("log", "lib", "bin", "srv/www"):
            os.makedirs(lab.path(node, folder), exist_ok=True)
        config.write_node(lab, node)
        config.write_bmc(lab, node)
        with open(lab.path(node, "disk.img"), "wb") as disk:
            disk.truncate(size)


def start_world(lab):
    with open(lab.path("world.log"), "ab") as log:
        subprocess.run([sys.executable, os.path.join(os.path.dirname(__file__), "world.py"), lab.directory],
                       stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, check=True, cwd="/")
    client = Client(lab)
    wait_for("the world of the lab", lambda: client.is_running(), 60, lambda: f"see {lab.path('world.log')}")
    return client


def wait_for(what, condition, timeout, hint=lambda: ""):
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"{what} is not there after {timeout} s: {hint()}")
        time.sleep(0.05)


def on_nodes(names, work):
    """Does work(node) for all nodes at once; the first error wins."""
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        for result in [pool.submit(work, name) for name in names]:
            result.result()


def must(client, node, *command, timeout=120):
    """Runs a step inside a node; a failure ends the whole bring-up with the step's own words."""
    code, output, errors = client.run(node, list(command), timeout)
    with open(client.lab.log(node, "setup"), "a", encoding="utf-8") as log:
        log.write(f"$ {' '.join(command)}\n{output}{errors}-- exit {code}\n")
    if code != 0:
        said = (errors or output).strip() or "no message"
        raise LabError(f"node {node}: {' '.join(command)}: exit {code}: {said}")


def wait_for_daemons(lab, client):
    def ready(node):
        pid = client.node_pid(node)
        state, daemons = status._daemons(lab, node, pid) if pid else ("no power", {})
        if state == "starting" or state.startswith("starting "):
            return False
        dead = [name for name, alive in daemons.items() if not alive]
        if dead:
            raise LabError(f"node {node}: {dead[0]} ended: {tail(lab.log(node, dead[0]))}")
        return status.quorum(client, node)["members"] == lab.nodes and fencing_answers(node)

    # cfs-fenced starts once Corosync answers it, which may be later than quorum was reached.
    def fencing_answers(node):
        return not lab.reaches("fencing") or client.run(node, ["cfs-fence", "status"], 10)[0] == 0
    for node in lab.nodes:
        wait_for(f"the cluster on node {node}", lambda: ready(node), 120,
                 lambda: tail(lab.log(node, "corosync")) + ("\n" + tail(lab.log(node, "cfs-fenced")) if lab.reaches("fencing") else ""))


def tail(path, lines=5):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return f"{path} ends with:\n" + "".join(file.readlines()[-lines:]).rstrip()
    except OSError:
        return f"{path} does not exist"


def install_device(lab, client):
    pair = lab.nodes[:2]
    say(f"{RESOURCE}: metadata, link, first primary")
    on_nodes(pair, lambda node: must(client, node, "blockrepadm", "create-md", "--force", RESOURCE))
    on_nodes(pair, lambda node: must(client, node, "blockrepadm", "up", RESOURCE))
    if len(pair) == 2:
        must(client, pair[0], "blockrepadm", "wait-connect", "--timeout", "120", RESOURCE)
        must(client, pair[0], "blockrepadm", "new-current-uuid", "--clear-bitmap", RESOURCE)    # both disks are all zeros
        must(client, pair[0], "blockrepadm", "primary", RESOURCE)
    else:
        must(client, pair[0], "blockrepadm", "primary", "--force", RESOURCE)
    if lab.reaches("all"):
        say("making the filesystem")
        must(client, pair[0], "mkfs.cfs", "--node-slots", str(max(2, len(pair))), RESOURCE)
    for node in pair:
        open(lab.path(node, "installed"), "w").close()


def up(directory, nodes=2, size="2G", mount=True, stage="all", transport="knet", keep=False, timeout=300,
       disks="file"):
    check_machine()
    binaries = find_binaries(stage)
    size = parse_size(size)
    made = prepare_directory(directory)
    names = node_names(nodes)
    lab = Layout(directory, {
        "nodes": names, "size": size, "stage": stage, "mount": mount, "transport": transport, "disks": disks, "binaries": binaries,
        "made_directory": made, "starter": os.getpid(), "secrets": config.make_secrets(),
        "bmc_passwords": {n: config.bmc_password() for n in names}})
    os.chmod(lab.directory, 0o755)
    os.environ["CFS_LAB_OF"] = lab.directory    # down finds what an interrupted up had started
    try:
        lab.save_settings()
        check_direct_io(lab)
        write_everything(lab, size)
        say(f"nodes {' '.join(names)}: networks, BMCs, power" + (f" (programs from {binaries})" if binaries else ""))
        client = start_world(lab)
        on_nodes(names, lambda node: client.call("power_on", node=node))
        wait_for_daemons(lab, client)
        if lab.reaches("device"):
            install_device(lab, client)
            say("mounting" if mount and lab.reaches("all") else "waiting for both replicas")
        wrong = status.wait_until_healthy(lab, timeout, status.dead_daemons)
        if wrong:
            ends = [tail(lab.log(node, daemon)) for node, daemon in status.dead_daemons(status.gather(lab))]
            raise LabError("the nodes run but are not healthy:\n  " + "\n  ".join(wrong + ends))
    except BaseException:
        if keep:
            mark_done(lab)
        else:
            teardown.stop(lab)
            say(f"failed; everything is stopped, logs are kept in {lab.path('*', 'log')}")
        raise
    mark_done(lab)
    say("healthy")
