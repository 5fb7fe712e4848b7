"""The device in good days: commands, NBD clients, both sides written at once."""
import json
import os
import subprocess

from verdicts import expect, expect_safe


def commands_say_what_is_wrong(pair):
    a = pair.a
    a.start()
    expect(a.adm("status", "r0", check=False).returncode == 10, "status of what is not up")
    refused = a.adm("up", "r0", check=False)
    expect(refused.returncode == 10 and "create-md" in refused.stderr, f"up without metadata: {refused.stderr}")
    a.adm("create-md", "r0")
    refused = a.adm("create-md", "r0", check=False)
    expect(refused.returncode == 10 and "--force" in refused.stderr, f"create-md twice: {refused.stderr}")
    expect("up-to-date no" in a.adm("dump-md", "r0").stdout, "dump-md")
    a.adm("up", "r0")
    refused = a.adm("create-md", "--force", "r0", check=False)
    expect(refused.returncode == 10 and "in use" in refused.stderr, f"create-md while attached: {refused.stderr}")
    refused = a.adm("primary", "r0", check=False)
    expect(refused.returncode == 11 and "UpToDate" in refused.stderr, f"primary of a new disk: {refused.stderr}")
    refused = pair.run("nbdinfo", a.uri, check=False)
    expect(refused.returncode != 0, "NBD on a Secondary")
    expect(a.adm("frobnicate", check=False).returncode == 20, "an unknown command")
    expect(a.adm("up", "r9", check=False).returncode == 10, "an unknown resource")
    a.adm("down", "r0")
    expect(a.kill(15) == 0, "an orderly end has exit status 0")


def first_sync_and_status(pair):
    pair.install()
    pair.compare_replicas()
    text = pair.a.adm("status", "r0").stdout
    expect("r0 role:Primary\n  disk:UpToDate\n  b role:Secondary\n    peer-disk:UpToDate" in text, f"status: {text}")
    expect(pair.a.state("role") == "Primary/Secondary", "role")
    known = pair.a.status()
    for place, names in ((known["devices"][0], ("upper-pending", "not-started", "lower-pending")),
                         (known["connections"][0]["peer_devices"][0], ("pending", "unacked", "out-of-sync"))):
        for name in names:
            expect(place.get(name) == 0, f"{name} of a device at rest: {known}")
    refused = pair.b.adm("disconnect", "r9", check=False)
    expect(refused.returncode != 0, "disconnect of an unknown resource")
    pair.both_primary()
    expect(pair.b.state("role") == "Primary/Primary", "both Primary")
    for node in pair.nodes:
        node.adm("secondary", "r0")
        node.adm("down", "r0")


def nbd_clients(pair):
    pair.install()
    pair.both_primary()
    info = json.loads(pair.run("nbdinfo", "--json", "--no-content", pair.a.uri).stdout)["exports"][0]
    expect(info["export-size"] == pair.data_size(), "the size that NBD tells")
    for able in ("can_flush", "can_fua", "can_multi_conn", "can_trim", "can_zero"):
        expect(info[able], f"nbdinfo: {able}")
    image = os.path.join(pair.directory, "image")
    pair.run("sh", "-c", f"head -c {pair.data_size()} /dev/urandom > image")
    pair.run("nbdcopy", "--flush", "image", pair.a.uri)
    pair.run("qemu-img", "compare", "-f", "raw", "-F", "raw", image, pair.b.uri)
    pair.run("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", image, pair.b.uri)
    pair.run("nbdcopy", pair.b.uri, "back")
    pair.run("cmp", "image", "back")
    pair.run("qemu-io", "-f", "raw", "-c", "discard 1M 32M", "-c", "write -z 40M 8M", "-c", "write -f -P 7 50M 64k",
             "-c", "flush", "-c", "read -P 0 1M 32M", "-c", "read -P 0 40M 8M", "-c", "read -P 7 50M 64k", pair.a.uri)
    pair.run("qemu-io", "-f", "raw", "-c", "read -P 0 1M 32M", "-c", "read -P 7 50M 64k", pair.b.uri)
    pair.compare_replicas()


def fio(pair, uri, name, *options):
    return ["fio", f"--name={name}", "--ioengine=nbd", f"--uri={uri}", "--bs=4k", "--iodepth=16", "--output-format=terse",
            *options]


def fio_verify(pair):
    pair.install()
    checked = ("--verify=crc32c", "--verify_fatal=1", "--fsync=64")
    pair.run(*fio(pair, pair.a.uri, "random", "--rw=randwrite", "--size=32M", *checked))
    pair.run(*fio(pair, pair.a.uri, "long", "--rw=write", "--bs=640k", "--size=60M", *checked))
    pair.compare_replicas()


def storm(pair, seconds):
    """Overlapping writes from both sides at once: the same bytes on both replicas, and the link stays up."""
    writers = [subprocess.Popen(fio(pair, node.uri, f"storm-{node.name}", "--rw=randwrite", "--size=2M",
                                    "--bsrange=512-64k", "--blockalign=512", "--time_based", f"--runtime={seconds}",
                                    f"--randseed={number}", "--buffer_pattern=" + ("0xaa", "0x55")[number]),
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=pair.directory)
               for number, node in enumerate(pair.nodes)]
    for writer in writers:
        _, errors = writer.communicate(timeout=600)
        expect_safe(writer.returncode == 0, f"fio: {errors.decode()}")
    expect(pair.a.state("cstate") == "Connected", "the link stayed up")
    pair.compare_replicas()


def both_write_the_same_place(pair):
    pair.install()
    pair.both_primary()
    storm(pair, 5)


def large_sectors(pair):
    """The disk of a has sectors of 4096 bytes: clients may use 512 all the same, on both nodes, and after its loss."""
    disk = pair.a.disk
    os.rename(disk, disk + ".file")
    loop = pair.run("losetup", "--find", "--show", "--sector-size", "4096", disk + ".file").stdout.strip()
    try:
        os.symlink(loop, disk)
        refused = pair.run("dd", f"if={loop}", "of=/dev/null", "iflag=direct", "bs=512", "count=1", check=False)
        expect(refused.returncode != 0, "the loop device takes less than its sectors")
        pair.install()
        pair.both_primary()
        storm(pair, 2)
        small = ("--rw=randwrite", "--bs=512", "--size=1M", "--io_size=1M", "--verify=crc32c", "--verify_fatal=1")
        pair.run(*fio(pair, pair.a.uri, "small", *small))
        pair.run("qemu-io", "-f", "raw", "-c", "write -P 3 8M 1M", "-c", "write -z 8704k 1536", "-c", "write -z 8389120 262144",
                 "-c", "read -P 3 8M 512", "-c", "read -P 0 8389120 262144", "-c", "read -P 3 8651264 512", pair.b.uri)
        pair.compare_replicas()
        pair.a.adm("detach", "r0")
        pair.run(*fio(pair, pair.a.uri, "away", *small))
        pair.a.adm("attach", "r0")
        pair.wait_synced()
        pair.run(*fio(pair, pair.a.uri, "back", *small))
        pair.compare_replicas()
    finally:
        pair.run("losetup", "--detach", loop)  # it goes when blockrepd lets it go


CHECKS = [commands_say_what_is_wrong, first_sync_and_status, nbd_clients, fio_verify, both_write_the_same_place,
          large_sectors]
