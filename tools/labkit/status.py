"""Outside: what all nodes say about themselves, and whether that is how it should be."""
import concurrent.futures
import glob
import json
import re
import time

from labkit import boot
from labkit.client import Client
from labkit.layout import MOUNTPOINT, RESOURCE, LabError


def _json_of(client, node, *command):
    """What a command prints as JSON, or {"error": why not}."""
    try:
        status, output, errors = client.run(node, list(command), timeout=5)
    except LabError as error:
        return {"error": str(error)}
    try:
        return json.loads(output)
    except ValueError:
        return {"error": f"{' '.join(command)}: exit {status}: {(errors or output).strip()}"}


def quorum(client, node):
    try:
        _, output, errors = client.run(node, ["corosync-quorumtool", "-s"], timeout=5)
    except LabError as error:
        return {"quorate": False, "members": [], "error": str(error)}
    members = re.findall(r"^ +\d+ +\d+ +(\S+)(?: \(local\))?$", output, re.M)
    answer = {"quorate": re.search(r"^Quorate: +Yes$", output, re.M) is not None, "members": sorted(members)}
    return answer if output else {**answer, "error": errors.strip()}


def mount(client, node, pid):
    state = {"mountpoint": MOUNTPOINT, "mounted": boot.is_mounted(MOUNTPOINT, pid), "responds": False}
    if state["mounted"]:
        try:
            status, output, errors = client.run(node, ["stat", "-f", "-c", "%T", MOUNTPOINT], timeout=3)
            state["responds"] = status == 0
            if status != 0:
                state["error"] = errors.strip()
        except LabError as error:
            state["error"] = str(error)
    return state


def _device(answer):
    """r0 out of `blockrepadm status --json`, which is drbdsetup's: a list of resources."""
    if isinstance(answer, dict) and "error" in answer:
        return answer
    resources = answer if isinstance(answer, list) else answer.get("resources", [answer])
    return next((each for each in resources if each.get("name") == RESOURCE), {"error": f"{RESOURCE} is not up"})


def _daemons(lab, node, pid):
    try:
        with open(lab.path(node, "boot.json"), encoding="utf-8") as file:
            record = json.load(file)
    except (OSError, ValueError):
        return "starting", {}
    alive = {name: _is_alive(f"/proc/{pid}/root/proc/{inner}") for name, inner in record["daemons"].items()}
    missing = {name for name, runs in alive.items() if not runs}
    if missing:     # somebody may have started it anew
        for process in glob.glob(f"/proc/{pid}/root/proc/[0-9]*"):
            name = _name_of(process)
            if name in missing and _is_alive(process):
                alive[name] = True
    return record["state"], alive


def _name_of(process):
    try:
        with open(f"{process}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def _is_alive(process):
    try:
        with open(f"{process}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def gather_node(lab, client, node, power):
    facts = dict(power)
    pid = client.node_pid(node) if power["power"] == "on" else None
    if pid is None:
        return dict(facts, power="off")
    facts["boot"], facts["daemons"] = _daemons(lab, node, pid)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        parts = {"quorum": pool.submit(quorum, client, node)}
        if lab.reaches("fencing"):
            parts["fencing"] = pool.submit(_json_of, client, node, "cfs-fence", "status", "--json")
        if lab.reaches("device"):
            parts["device"] = pool.submit(_json_of, client, node, "blockrepadm", "status", "--json")
        if lab.reaches("all"):
            parts["mount"] = pool.submit(mount, client, node, pid)
        facts.update({name: part.result() for name, part in parts.items()})
    if "device" in facts:
        facts["device"] = _device(facts["device"])
    return facts


def gather(lab):
    client = Client(lab)
    overview = client.call("overview")
    links = {name: "cut" if name in overview["cut"] else "up" for name in ("management", "replication", "cluster")}
    with concurrent.futures.ThreadPoolExecutor(len(lab.nodes)) as pool:
        parts = {name: pool.submit(gather_node, lab, client, name, overview["nodes"][name]) for name in lab.nodes}
        nodes = {name: part.result() for name, part in parts.items()}
    facts = {"directory": lab.directory, "stage": lab.settings["stage"], "links": links, "nodes": nodes}
    facts["problems"] = [problem for name in lab.nodes for problem in problems(lab, name, nodes[name])]
    facts["healthy"] = not facts["problems"]
    return facts


def problems(lab, name, facts):
    """What keeps a node from being healthy, in plain words."""
    found = [] if facts["bmc_running"] else [f"{name}: its BMC does not run (see {lab.log(name, 'bmc')})"]
    if facts["power"] != "on":
        return found + [f"{name}: no power"]
    found += [f"{name}: {daemon} does not run (see {lab.log(name, daemon)})"
             for daemon, alive in facts["daemons"].items() if not alive]
    if not facts["quorum"]["quorate"]:
        found.append(f"{name}: not quorate")
    if facts["quorum"]["members"] != lab.nodes:
        found.append(f"{name}: sees members {' '.join(facts['quorum']['members']) or 'none'}")
    if "fencing" in facts and "error" in facts["fencing"] and "cfs-fenced" in facts["daemons"]:
        found.append(f"{name}: {facts['fencing']['error']}")
    if "device" in facts and name in lab.nodes[:2]:
        found += [f"{name}: {problem}" for problem in device_problems(facts["device"])]
    if "mount" in facts and lab.settings["mount"] and not facts["mount"]["responds"]:
        found.append(f"{name}: {MOUNTPOINT} " + ("does not answer" if facts["mount"]["mounted"] else "is not mounted"))
    return found


def device_problems(device):
    if "error" in device:
        return [device["error"]]
    found = []
    if device.get("role") != "Primary":
        found.append(f"{RESOURCE} is {device.get('role')}")
    for volume in device.get("devices", []):
        if volume.get("disk-state") != "UpToDate":
            found.append(f"{RESOURCE} disk is {volume.get('disk-state')}")
    connections = device.get("connections", [])
    if not connections:
        found.append(f"{RESOURCE} has no connection")
    for connection in connections:
        if connection.get("connection-state") != "Connected":
            found.append(f"{RESOURCE} connection is {connection.get('connection-state')}")
        for peer in connection.get("peer_devices", []):
            if peer.get("replication-state") not in ("Established", None):
                done = peer.get("percent-in-sync")
                found.append(f"{RESOURCE} is {peer.get('replication-state')}" + (f" {done}%" if done else ""))
            elif peer.get("peer-disk-state") != "UpToDate":
                found.append(f"{RESOURCE} peer's disk is {peer.get('peer-disk-state')}")
    return found


def wait_until_healthy(lab, timeout, hopeless=lambda facts: False):
    """Returns what is still wrong when the time is over, or when it is hopeless; empty when all is well."""
    deadline = time.monotonic() + timeout
    while True:
        facts = gather(lab)
        if facts["healthy"] or time.monotonic() >= deadline or hopeless(facts):
            return facts["problems"]
        time.sleep(0.2)


def dead_daemons(facts):
    """(node, daemon) of those that were started and are gone; nobody starts them again."""
    return [(name, daemon) for name, node in facts["nodes"].items()
            for daemon, alive in node.get("daemons", {}).items() if not alive]


def report(facts):
    """The same for people."""
    lines = [f"lab {facts['directory']}: " + ("healthy" if facts["healthy"] else "NOT healthy")]
    lines.append("links: " + ", ".join(f"{name} {state}" for name, state in facts["links"].items()))
    for name, node in facts["nodes"].items():
        bmc = node["bmc"] if node["bmc_running"] else "dead"
        lines.append(f"node {name}: power {node['power']}, BMC {bmc}")
        if node["power"] != "on":
            continue
        lines.append(f"  boot     {node['boot']}; " + ", ".join(
            f"{daemon} {'runs' if alive else 'DEAD'}" for daemon, alive in node["daemons"].items()))
        lines.append(f"  quorum   {'yes' if node['quorum']['quorate'] else 'no'}, members "
                     + (" ".join(node["quorum"]["members"]) or "none"))
        for part in ("fencing", "device"):
            if part in node:
                lines.append(f"  {part:8} " + _brief(part, node[part]))
        if "mount" in node:
            state = node["mount"]
            lines.append(f"  mount    {state['mountpoint']} " + (
                "answers" if state["responds"] else "does not answer" if state["mounted"] else "not mounted"))
    lines += [f"problem: {problem}" for problem in facts["problems"]]
    return "\n".join(lines)


def _brief(part, facts):
    if isinstance(facts, dict) and "error" in facts:
        return facts["error"]
    if part == "fencing" and isinstance(facts.get("fencing"), dict):
        devices = ", ".join(f"{each.get('name')} {each.get('state')}" for each in facts.get("devices", []))
        fences = ", ".join(json.dumps(each) for each in facts["fencing"].get("fences", []))
        return devices + (f"; under way: {fences}" if fences else "")
    if part == "device":
        disks = "/".join(str(volume.get("disk-state")) for volume in facts.get("devices", []))
        peers = ", ".join(f"{each.get('name')} {each.get('connection-state')} {each.get('peer-role')}"
                          for each in facts.get("connections", []))
        return f"{RESOURCE} {facts.get('role')} {disks}; peers: {peers or 'none'}"
    return json.dumps(facts)
