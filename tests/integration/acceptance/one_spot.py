"""Six writers, three on each node, on the same 32 KiB of the raw device, with writes of 4 and 8 KiB: the link stays up all the
time and both replicas end with the same bytes. Overwrites r0: run it in a lab without a filesystem."""
import json
import re
import time

from .common import NODES, compare_replicas, expect

FIO = ('fio', '--name=spot', '--ioengine=nbd', '--rw=randwrite', '--bssplit=4k/50:8k/50', '--blockalign=4k', '--size=32k',
       '--numjobs=3', '--iodepth=4', '--time_based', '--norandommap', '--refill_buffers', '--randrepeat=0', '--group_reporting',
       '--output-format=json')


def links_lost(lab):
    return sum(len(re.findall('link lost|link closed|StandAlone', lab.log(node, 'blockrepd'))) for node in NODES)


def link_is_up(lab, node):
    connection = lab.device_status(node)[0]['connections'][0]
    replication = connection['peer_devices'][0]['replication-state']
    return connection['connection-state'] == 'Connected' and replication == 'Established'


def check(lab, options):
    lost = links_lost(lab)
    writers = {node: lab.popen(node, *FIO, f'--uri={lab.device(node)}', f'--runtime={options.seconds}',
                               f'--output=/run/lab/spot-{node}.json') for node in NODES}
    looked, until = 0, time.monotonic() + options.seconds + 600
    while any(process.poll() is None for process in writers.values()):
        expect(time.monotonic() < until, 'the writers do not end')
        for node in NODES:
            expect(link_is_up(lab, node), f'the link of {node} is not up while both write on one spot')
        looked += 1
        time.sleep(0.2)
    for node, process in writers.items():
        expect(process.returncode == 0, f'the writers on {node}: exit status {process.returncode}')
    expect(links_lost(lab) == lost, 'the link was lost for a moment: see blockrepd.log')
    reports = {node: json.loads(lab.output(node, 'cat', f'/run/lab/spot-{node}.json')) for node in NODES}
    writes = {node: report['jobs'][0]['write']['total_ios'] for node, report in reports.items()}
    expect(min(writes.values()) > 10 * options.seconds, f'hardly a write got through: {writes}')
    return (f'{writes["a"]} writes of a and {writes["b"]} of b in {options.seconds} s, link seen up {looked} times, replicas equal '
            f'over {compare_replicas(lab)} bytes')
