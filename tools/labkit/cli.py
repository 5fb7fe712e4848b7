"""The command line of tools/lab. Results go to stdout, everything else to stderr; exit 1 = failed, 2 = wrong usage."""
import argparse
import json
import os
import sys
import time

from labkit import bringup, loop, status, teardown
from labkit.client import Client
from labkit.layout import (BMC_MODES, CUTTABLE, DISK, MOUNTPOINT, NBD_URI, STAGES, LabError, Layout, default_directory)

CANNOT_ENTER = 125      # exit status of exec when the node has no power


def split_arguments(arguments):
    """(arguments of the lab, command after -- or None, directory); --dir may stand anywhere before the --."""
    command = None
    if "--" in arguments:
        cut = arguments.index("--")
        arguments, command = arguments[:cut], arguments[cut + 1:]
    rest, directory = [], default_directory()
    position = 0
    while position < len(arguments):
        word = arguments[position]
        if word == "--dir":
            if position + 1 == len(arguments):
                raise LabError("--dir needs a directory")
            position += 1
            directory = arguments[position]
        elif word.startswith("--dir="):
            directory = word[len("--dir="):]
        else:
            rest.append(word)
        position += 1
    return rest, command, directory


def make_parser():
    parser = argparse.ArgumentParser(prog="tools/lab", description="Whole nodes on one machine.",
                                     epilog="--dir DIR names the lab (default $CFS_LAB_DIR or build/lab).")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    up = verbs.add_parser("up", help="build the nodes, start everything, mount")
    up.add_argument("--nodes", type=int, default=2)
    up.add_argument("--size", default="2G", help="of the backing disk of each node")
    up.add_argument("--no-mount", action="store_true")
    up.add_argument("--stage", choices=STAGES, default="all", help="start only this much")
    up.add_argument("--transport", choices=("knet", "udpu"), default="knet", help="of Corosync")
    up.add_argument("--disks", choices=sorted(DISK), default="file", help="loop: block devices that can be made to fail")
    up.add_argument("--timeout", type=float, default=300, help="seconds until it must be healthy")
    up.add_argument("--keep", action="store_true", help="leave everything running when up fails")
    execute = verbs.add_parser("exec", help="NODE -- CMD…: run CMD inside a node")
    execute.add_argument("node")
    for verb, text in (("mountpoint", "where the filesystem is mounted"), ("device", "the NBD URI of the device"),
                       ("crash", "cut the power without the BMC")):
        verbs.add_parser(verb, help=text).add_argument("node")
    power = verbs.add_parser("power", help="through the BMC")
    power.add_argument("node")
    power.add_argument("action", choices=("on", "off", "status"))
    link = verbs.add_parser("link", help="network faults; all = replication and cluster")
    link.add_argument("network", choices=sorted(CUTTABLE))
    link.add_argument("action", choices=("cut", "heal"))
    bmc = verbs.add_parser("bmc", help="faults of a BMC")
    bmc.add_argument("node")
    bmc.add_argument("mode", choices=BMC_MODES)
    bmc.add_argument("--seconds", type=float, default=5.0, help="how long a slow BMC takes")
    disk = verbs.add_parser("disk", help="faults of a disk, in a lab with --disks loop")
    disk.add_argument("node")
    disk.add_argument("mode", choices=("ok", "fail"))
    verbs.add_parser("status", help="of everything").add_argument("--json", action="store_true")
    wait = verbs.add_parser("wait", help="until healthy")
    wait.add_argument("what", choices=("healthy",))
    wait.add_argument("--timeout", type=float, default=120)
    down = verbs.add_parser("down", help="end it and remove it")
    down.add_argument("--keep-logs", action="store_true")
    return parser


def do_up(lab, options, _):
    if not 1 <= options.nodes <= 8:
        raise LabError("--nodes: 1 to 8")
    bringup.up(lab.directory, options.nodes, options.size, not options.no_mount, options.stage, options.transport,
               options.keep, options.timeout, options.disks)


def do_exec(lab, options, command):
    if not command:
        raise LabError("exec NODE -- CMD…: CMD is missing")
    try:
        line, environment = Client(lab).enter(lab.require_node(options.node), command, os.getcwd())
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return CANNOT_ENTER
    os.execvpe(line[0], line, environment)


def do_mountpoint(lab, options, _):
    lab.require_node(options.node)
    print(MOUNTPOINT)


def do_device(lab, options, _):
    lab.require_node(options.node)
    print(NBD_URI)


def do_crash(lab, options, _):
    Client(lab).call("crash", node=lab.require_node(options.node))


def power_status(client, node):
    done = client.ipmi(node, "chassis", "power", "status")
    words = done.stdout.split()
    if done.returncode != 0 or words[-1:] not in (["on"], ["off"]):
        raise LabError(f"the BMC of node {node} does not answer: {done.stderr.strip() or done.stdout.strip()}")
    return words[-1]


def do_power(lab, options, _):
    client, node = Client(lab), lab.require_node(options.node)
    client.call("ping")
    if options.action == "status":
        print(power_status(client, node))
        return
    done = client.ipmi(node, "chassis", "power", options.action)
    if done.returncode != 0:
        raise LabError(f"the BMC of node {node} refuses: {done.stderr.strip()}")
    deadline = time.monotonic() + 60
    while power_status(client, node) != options.action:
        if time.monotonic() > deadline:
            raise LabError(f"the BMC of node {node} said OK, but the power is not {options.action} after 60 s")
        time.sleep(0.2)


def do_link(lab, options, _):
    Client(lab).call("links", networks=list(CUTTABLE[options.network]), cut=options.action == "cut")


def do_bmc(lab, options, _):
    Client(lab).call("bmc_mode", node=lab.require_node(options.node), mode=options.mode, delay=options.seconds)


def do_disk(lab, options, _):
    node = lab.require_node(options.node)
    if lab.settings.get("disks") != "loop":
        raise LabError("the disks of this lab are plain files, which do not fail (up --disks loop)")
    try:
        loop.fail(os.readlink(lab.path(node, DISK["loop"])), lab.path(node, "disk.img"), options.mode == "fail")
    except (OSError, ValueError) as error:
        raise LabError(f"the disk of node {node}: {error}") from None


def do_status(lab, options, _):
    facts = status.gather(lab)
    print(json.dumps(facts, indent=1) if options.json else status.report(facts))


def do_wait(lab, options, _):
    wrong = status.wait_until_healthy(lab, options.timeout)
    if wrong:
        raise LabError(f"not healthy after {options.timeout:g} s:\n  " + "\n  ".join(wrong))


def do_down(lab, options, _):
    if not lab.exists():
        teardown.stop(lab)      # what a half-removed lab may have left
        return
    teardown.stop(lab)
    teardown.remove(lab, options.keep_logs)


def main(arguments):
    try:
        rest, command, directory = split_arguments(arguments)
        options = make_parser().parse_args(rest)
        if command is not None and options.verb != "exec":
            raise LabError("only exec takes a command after --")
        return globals()[f"do_{options.verb}"](Layout(directory), options, command) or 0
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 1
