"""The device in bad days: daemons that die, leave and come back."""
import subprocess

from checks_use import fio
from verdicts import expect


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
    expect(load.wait(300) == 0, "the writer on a saw an error")
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
    load.wait(300)
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
        load.wait(300)
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


def ended_while_in_use(pair):
    """SIGTERM with clients on both sides: they are hung up on, the peer goes on alone, nothing has to be copied in full."""
    pair.install()
    pair.both_primary()
    load_a, load_b = write_for(pair, pair.a, 600), write_for(pair, pair.b, 4)
    pair.run("sleep", "1")
    expect(pair.a.kill(15) == 0, "the exit status of an orderly end")
    expect(load_a.wait(300) != 0, "the client of the ended daemon saw no error")
    expect(load_b.wait(300) == 0, "the client of the other daemon saw an error")
    expect("primary no" in pair.a.adm("dump-md", "r0").stdout, "the ended node does not look crashed")
    pair.a.start()
    pair.a.adm("up", "r0")
    pair.wait_synced()
    pair.compare_replicas()


def a_wrong_secret(pair):
    """Who does not know the secret is not let in, and harms nobody."""
    path = f"{pair.b.folder}/etc/blockrep.d/r0.res"
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("a secret of the tests", "another secret"))
    for node in pair.nodes:
        node.adm("create-md", "--force", "r0")
        node.start()
        node.adm("up", "r0")
    late = pair.a.adm("wait-connect", "r0", "--timeout", "1.5", check=False)
    expect(late.returncode == 5, f"wait-connect: {late.returncode} {late.stderr}")
    expect(pair.a.state("cstate") == "Connecting", "still trying")
    pair.b.adm("down", "r0")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    pair.b.adm("up", "r0")
    pair.a.adm("wait-connect", "r0", "--timeout", "300")


def disk_lost_under_use(pair):
    """Reads that the own disk cannot serve come from the peer, and the client sees no error."""
    pair.install()
    pair.run("qemu-io", "-f", "raw", "-c", "write -P 6 8M 8M", "-c", "flush", pair.a.uri)
    with open(pair.a.disk, "r+b") as disk:
        disk.truncate(1 << 20)
    pair.run("qemu-io", "-f", "raw", "-c", "read -P 6 8M 8M", "-c", "write -P 4 9M 1M", "-c", "read -P 4 9M 1M", pair.a.uri)
    expect(pair.a.state("dstate") == "Diskless/UpToDate", f"dstate {pair.a.state('dstate')}")
    pair.run("qemu-io", "-f", "raw", "-c", "write -P 2 0 4k", "-c", "flush", pair.a.uri)
    pair.a.make_disk(pair.size)
    pair.a.adm("create-md", "--force", "r0")
    pair.a.adm("attach", "r0")
    pair.wait_synced()
    pair.compare_replicas()


CHECKS = [disk_lost_under_use, ended_while_in_use, a_wrong_secret, secondary_killed_under_load, primary_killed_under_load, both_killed, left_and_came_back, invalidated]
