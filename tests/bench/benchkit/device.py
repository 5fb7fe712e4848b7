"""The replicated device against the raw disk below it, and against what cannot be beaten: both replicas on one disk, one
round trip between the nodes."""
import json
import os
import subprocess

from . import places, table

SYNC = ('--rw=write', '--bs=4k', '--iodepth=1', '--fsync=1')
WRITE = ('--rw=write', '--bs=1m', '--iodepth=4')
READ = ('--rw=read', '--bs=1m', '--iodepth=4')


def fio(run, seconds, *words):
    text = run(['fio', '--name=bench', '--size=256m', '--time_based', f'--runtime={seconds}', '--output-format=json',
                '--group_reporting', *words])
    job = json.loads(text[text.index('{'):])['jobs'][0]
    side = job['read' if '--rw=read' in words else 'write']
    return side['iops'], side['bw_bytes'] / 2**20


def on_host(command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def raw(options, copies, *words):
    """Plain files on the disk that holds the nodes' disks; `copies` at once."""
    files = [os.path.join(options.dir, f'raw-{i}.img') for i in range(copies)]
    for file in files:
        if not os.path.exists(file):
            on_host(['dd', 'if=/dev/urandom', f'of={file}', 'bs=1M', 'count=256', 'status=none', 'conv=fsync'])
    # Jobs that share the options and differ in their file.
    return fio(on_host, options.seconds, '--ioengine=libaio', '--direct=1', *words, f'--numjobs={copies}',
               f'--filename_format={options.dir}/raw-$jobnum.img')


def replicated(lab, options, *words):
    uri = lab.device('a')
    return fio(lambda command: lab.output('a', *command), options.seconds, '--ioengine=nbd', f'--uri={uri}', *words)


def round_trip(lab):
    """Seconds for 4 KiB to the other node and an answer back."""
    server = lab.popen('b', '/usr/bin/python3', f'{places.INSIDE}/echo.py', 'serve', '10.79.1.2', stdout=subprocess.PIPE)
    try:
        server.stdout.readline()
        return float(lab.output('a', '/usr/bin/python3', f'{places.INSIDE}/echo.py', 'ask', '10.79.1.2'))
    finally:
        server.kill()
        server.wait()


def measure(options):
    with places.nodes(options, '--stage', 'device') as lab:
        rounds = []
        for _ in range(options.rounds):
            rounds.append({'raw': raw(options, 1, *SYNC)[0], 'pair': raw(options, 2, *SYNC)[0] / 2,
                           'ours': replicated(lab, options, *SYNC)[0],
                           'raw write': raw(options, 1, *WRITE)[1], 'write': replicated(lab, options, *WRITE)[1],
                           'raw read': raw(options, 1, *READ)[1], 'read': replicated(lab, options, *READ)[1],
                           'rtt': 1 / round_trip(lab)})
        top = {name: max(one[name] for one in rounds) for name in rounds[0]}
        limit = 1 / (1 / top['rtt'] + 1 / top['pair'])
        table.heading(f'device (best of {options.rounds} rounds; both disks of the lab are files on one disk)')
        table.cost('4 KiB write + flush, against the raw disk', 1 / top['ours'], 1 / top['raw'])
        table.cost('  against max(local, round trip + remote)', 1 / top['ours'], 1 / limit)
        table.speed('1 MiB writes, depth 4, against the raw disk', top['write'], top['raw write'], 'MiB/s')
        table.speed('  against the disk taking every byte twice', top['write'], top['raw write'] / 2, 'MiB/s')
        table.speed('1 MiB reads, depth 4, against the raw disk', top['read'], top['raw read'], 'MiB/s')
        table.figure('round trip of 4 KiB between the nodes', f'{1e6 / top["rtt"]:.0f} µs')
    for i in range(2):
        os.remove(os.path.join(options.dir, f'raw-{i}.img'))
