"""The same small files on a mount of one node alone (-o local, a plain file): what the driver costs without the lock
manager and without replication. With and without the kernel being told that nothing in it is locked."""
import os
import sys

from . import files, places, table

sys.path.insert(0, os.path.join(places.ROOT, 'tests/integration/mount_local'))

from mounted import Mounted  # noqa: E402


def one_round(options, mount_options):
    with Mounted((options.stream * 2 + 512) << 20, mount_options) as mounted:
        def remount():
            mounted.umount()
            mounted.mount()
        seconds = files.small(places.run_probe, remount, mounted.path, options)
        mounted.umount()
    return seconds


def measure(options):
    kinds = {'': 'one node alone'}
    theirs, ours = [], {kind: [] for kind in kinds}
    for _ in range(options.rounds):
        with places.Ext4(options.dir, 1024) as ext4:
            theirs.append(files.small(places.run_probe, ext4.remount, ext4.path, options))
        for kind, rounds in ours.items():
            rounds.append(one_round(options, kind))
    theirs = table.best(theirs)
    for kind, rounds in ours.items():
        table.heading(f'local: {kinds[kind]}, {options.files} files of {options.bytes} bytes, against ext4')
        for step, taken in table.best(rounds).items():
            table.cost(files.NAMES[step], taken, theirs[step], files.AIMS.get(step, ''))
