"""The links between the nodes are cut while both write: exactly one is shot, the other goes on; nothing promised by either
is lost; the one that was shot comes back."""
import random
import time

from .common import NODES, check_filesystem, compare_replicas, expect, fresh_directory, mount_both, other, unmount_both
from .power_cuts import Load, check_promises, wait_until_writing


def powers(lab):
    return {node: lab.verb('power', node, 'status').strip() for node in NODES}


def wait_for_a_shot(lab, network, seconds=45):
    """The node that lost its power, and how long after the cut that was."""
    started = time.monotonic()
    while True:
        off = [node for node, state in powers(lab).items() if state == 'off']
        if off:
            return off[0], time.monotonic() - started
        expect(time.monotonic() < started + seconds, f'{network} cut: nobody was shot within {seconds} s')
        time.sleep(0.1)


def one_cut(lab, directory, network, first, promises):
    loads = {node: Load(lab, node, directory, first) for node in NODES}
    try:
        for load in loads.values():
            wait_until_writing(load, 20)
        lab.verb('link', network, 'cut')
        shot, after = wait_for_a_shot(lab, network)
        survivor = loads[other(shot)]
        wait_until_writing(survivor, len(survivor.promises) + 20)
        expect(powers(lab)[other(shot)] == 'on', f'{network} cut: both nodes were shot')
        survivor.stop(expect_success=True)
        loads[shot].stop(expect_success=False)
    finally:
        for load in loads.values():
            if load.process.poll() is None:
                load.process.kill()
                load.process.wait()
    for node, load in loads.items():
        promises += [(node, text) for _, text in load.promises]
    check_promises(lab, other(shot), directory, promises)
    lab.verb('link', network, 'heal')
    lab.verb('power', shot, 'on')
    lab.wait_healthy(90)
    check_promises(lab, shot, directory, promises)
    return f'{network}: {shot} off after {after:.1f} s'


def check(lab, options):
    directory = fresh_directory(lab, 'partitions')
    chooser, promises, said = random.Random(options.seed), [], []
    networks = ['all', 'replication', 'cluster']
    chooser.shuffle(networks)
    for number, network in enumerate(networks, 1):
        said.append(one_cut(lab, directory, network, number * 100000, promises))
        unmount_both(lab)
        check_filesystem(lab)
        compare_replicas(lab)
        mount_both(lab)
    return f'{"; ".join(said)}; {len(promises)} promises kept'
