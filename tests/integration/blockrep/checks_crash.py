"""The device in bad days: daemons that die, leave and come back."""
import subprocess

from checks_use import expect, fio


def write_for(pair, node, seconds, *options):
    return subprocess.Popen(fio(pair, node.uri, "load", "--rw=randwrite", "--size=32M", "--time_based",
                                f"--runtime={seconds}", *options),
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=pair.directory)


def secondary_killed_under_load(pair):
    """The survivor goes on; the other one is brought up to date with what it missed, and no more."""
    pair.install()
    load = write_for(pair, pair.a, 6)
    pair.run("sleep", "2")
    pair.b.kill()
    expect(load.wait(60) == 0, "the writer on a saw an error")
    pair.b.start()
    pair.b.adm("up", "r0")
    pair.wait_synced()
    pair.compare_replicas()


def primary_killed_under_load(pair):
    """What was being written when it died is compared and made equal; not everything is copied."""
    pair.install()
    load = write_for(pair, pair.a, 30)
    pair.run("sleep", "2")
    pair.a.kill()
    load.wait(60)
    pair.b.adm("primary", "--force", "r0")
    pair.run("qemu-io", "-f", "raw", "-c", "write -P 9 60M 1M", "-c", "flush", pair.b.uri)
    pair.a.start()
    pair.a.adm("up", "r0")
    pair.wait_synced()
    pair.compare_replicas()
    pair.a.adm("primary", "r0")
    pair.run("qemu-io", "-f", "raw", "-c", "read -P 9 60M 1M", pair.a.uri)


def both_killed(pair):
    pair.install()
    pair.both_primary()
    loads = [write_for(pair, node, 30) for node in pair.nodes]
    pair.run("sleep", "2")
    for node in pair.nodes:
        node.kill()
    for load in loads:
        load.wait(60)
    for node in pair.nodes:
        node.start()
        node.adm("up", "r0")
    pair.wait_synced()
    pair.compare_replicas()


def left_and_came_back(pair):
    """An orderly leave: no full copy afterwards."""
    pair.install()
    pair.b.adm("down", "r0")
    pair.run("qemu-io", "-f", "raw", "-c", "write -P 5 10M 2M", "-c", "flush", pair.a.uri)
    missed = pair.a.status()["connections"][0]["peer_devices"][0]["out-of-sync"]
    expect(missed == 2 << 20, f"{missed} bytes are out of sync, 2 MiB were written")
    pair.b.adm("up", "r0")
    pair.wait_synced()
    pair.compare_replicas()


def invalidated(pair):
    pair.install()
    pair.run("qemu-io", "-f", "raw", "-c", "write -P 3 0 8M", "-c", "flush", pair.a.uri)
    pair.b.adm("invalidate", "r0")
    pair.wait_synced()
    pair.compare_replicas()


CHECKS = [secondary_killed_under_load, primary_killed_under_load, both_killed, left_and_came_back, invalidated]
