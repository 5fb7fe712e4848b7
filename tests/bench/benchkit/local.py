"""The same small files on a mount of one node alone (-o local, a plain file): what the driver costs without the lock
manager and without replication. With and without the kernel being told that opens need not be asked for; and a FUSE filesystem
that does nothing, which is the limit."""
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


def one_round_of_nothing(options):
    step = 'open_read-hot'
    with places.nothing(options) as path:
        for _ in range(2):  # the first brings it into the cache
            seconds = places.run_probe('files', path, options.files, options.bytes, step, before=places.ON_ONE)
    return {step: seconds[step] / options.files}


def measure(options):
    kinds = {'': 'one node alone', 'readmostly': 'the same with -o readmostly'}
    aims = {'': files.AIMS, 'readmostly': {**files.AIMS, 'open_read-hot': '>= 0.6'}}
    theirs, limit, ours = [], [], {kind: [] for kind in kinds}
    for _ in range(options.rounds):
        with places.Ext4(options.dir, 1024) as ext4:
            theirs.append(files.small(places.run_probe, ext4.remount, ext4.path, options))
        limit.append(one_round_of_nothing(options))
        for kind, rounds in ours.items():
            rounds.append(one_round(options, kind))
    theirs = table.best(theirs)
    for kind, rounds in ours.items():
        table.heading(f'local: {kinds[kind]}, {options.files} files of {options.bytes} bytes, against ext4')
        for step, taken in table.best(rounds).items():
            table.cost(files.NAMES[step], taken, theirs[step], aims[kind].get(step, ''))
    table.heading('local: a FUSE filesystem that does nothing, on the processor of its caller, against ext4')
    for step, taken in table.best(limit).items():
        table.cost(files.NAMES[step], taken, theirs[step])
