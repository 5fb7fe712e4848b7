"""mount.cfs of a is killed while both write: nobody is shot, b goes on, a mounts again; nothing promised is lost."""
import time

from .common import NODES, expect, fresh_directory, same_listing
from .power_cuts import Load, check_promises, wait_until_writing

KILL = 'for pid in /proc/[0-9]*; do [ "$(cat $pid/comm)" = mount.cfs ] && kill -9 ${pid#/proc/}; done 2>/dev/null; true'


def check(lab, options):
    directory = fresh_directory(lab, 'dead-mount')
    fences = lab.output('b', 'cfs-fence', 'history')
    loads = {node: Load(lab, node, directory, 100000) for node in NODES}
    for load in loads.values():
        wait_until_writing(load, 30)
    lab.run('a', 'sh', '-c', KILL)
    started = time.monotonic()
    wait_until_writing(loads['b'], len(loads['b'].promises) + 30)
    took = time.monotonic() - started
    loads['b'].stop(expect_success=True)
    loads['a'].stop(expect_success=False)
    expect(lab.verb('power', 'a', 'status') == 'on\n', 'a was shot for the death of a process')
    expect(lab.output('b', 'cfs-fence', 'history') == fences, 'a fence is in the history')
    promises = [(node, text) for node, load in loads.items() for _, text in load.promises]
    check_promises(lab, 'b', directory, promises)
    lab.run('a', 'umount', '-l', lab.mountpoint('a'))
    lab.run('a', 'mount', '-t', 'cfs', 'r0', lab.mountpoint('a'), timeout=60)
    lab.wait_healthy(60)
    check_promises(lab, 'a', directory, promises)
    return f'{len(promises)} promises kept, b wrote on after {took:.1f} s, {same_listing(lab, directory)} names seen alike'
