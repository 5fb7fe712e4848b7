"""Small files and a large one on node a, against ext4 on a loop device over a file on the same disk, in turns."""
from . import places, table

STEPS = ['stat-cold', 'stat-hot', 'open_read-cold', 'open_read-hot', 'stat-once', 'list', 'list-again', 'delete']
AIMS = {'create': '>= 0.1', 'stat-hot': '>= 0.7', 'open_read-hot': '>= 0.2', 'list-again': '>= 1'}
NAMES = {'create': 'create + write + close', 'stat-cold': 'stat, cold', 'open_read-cold': 'open + read + close, cold',
         'stat-hot': 'stat, hot', 'open_read-hot': 'open + read + close, hot',
         'stat-once': 'stat once after a read', 'list': 'list (per name)',
         'list-again': 'list again, cached (per name)', 'delete': 'delete', 'write': 'write a large file + fsync',
         'read-cold': 'read it, cold', 'read-again': 'read it again'}


def small(run, remount, folder, options):
    """`run(words…)` is the probe where the filesystem is."""
    arguments = ('files', folder, options.files, options.bytes)
    seconds = run(*arguments, 'create')
    remount()
    seconds.update(run(*arguments, *STEPS))
    return {step: taken / options.files for step, taken in seconds.items()}


def large(run, remount, path, options):
    arguments = ('stream', path, options.stream)
    seconds = run(*arguments, 'write')
    remount()
    seconds.update(run(*arguments, 'read-cold', 'read-again'))
    return seconds


def one_round_ours(lab, number, options):
    folder = places.common.fresh_directory(lab, f'files-{number}')
    run = lambda *words: places.run_probe_in(lab, 'a', *words)  # noqa: E731
    again = lambda: places.remount(lab, 'a')  # noqa: E731
    seconds = small(run, again, folder, options)
    seconds.update(large(run, again, f'{folder}/large', options))
    lab.run('a', 'rm', '-r', folder)
    return seconds


def one_round_ext4(options):
    with places.Ext4(options.dir, options.stream * 2 + 256) as ext4:
        seconds = small(places.run_probe, ext4.remount, ext4.path, options)
        seconds.update(large(places.run_probe, ext4.remount, f'{ext4.path}/large', options))
    return seconds


def measure(lab, options):
    ours, theirs = [], []
    for number in range(options.rounds):
        theirs.append(one_round_ext4(options))
        ours.append(one_round_ours(lab, number, options))
    ours, theirs = table.best(ours), table.best(theirs)
    table.heading(f'files: {options.files} of {options.bytes} bytes on a, against ext4 (best of {options.rounds} rounds)')
    for step in ('create', *STEPS):
        table.cost(NAMES[step], ours[step], theirs[step], AIMS.get(step, ''))
    for step in ('write', 'read-cold', 'read-again'):
        table.speed(NAMES[step], options.stream / ours[step], options.stream / theirs[step], 'MiB/s')
