"""The links between the nodes are cut while both write: exactly one is shot, the other goes on; nothing promised by either
is lost; the one that was shot comes back."""
import random
import time

from .common import NODES, expect, fresh_directory, other
from .power_cuts import check_promises
from .scene import Scene, heal, look_inside


def powers(lab):
    return {node: lab.verb('power', node, 'status').strip() for node in NODES}


def wait_for_a_shot(lab, network, seconds=300):
    """The node that lost its power, and how long after the cut that was."""
    started = time.monotonic()
    while True:
        off = [node for node, state in powers(lab).items() if state == 'off']
        if off:
            return off[0], time.monotonic() - started
        expect(time.monotonic() < started + seconds, f'{network} cut: nobody was shot within {seconds} s')
        time.sleep(0.1)


def one_cut(lab, directory, network, first, promises, seconds):
    """(who was shot, after how long, how long the other one stalled, reads and writes judged)"""
    scene = Scene(lab, directory, first, promises)
    try:
        time.sleep(seconds)
        lab.verb('link', network, 'cut')
        shot, after = wait_for_a_shot(lab, network)
        scene.wait_for_progress([other(shot)])
        expect(powers(lab)[other(shot)] == 'on', f'{network} cut: both nodes were shot')
        stall = scene.stall(other(shot))
        scene.end(must_succeed=[other(shot)])
    finally:
        scene.end()
    check_promises(lab, other(shot), directory, promises)
    heal(lab)
    return shot, after, stall, scene.judge()


def check(lab, options):
    directory = fresh_directory(lab, 'partitions')
    chooser, promises, judged = random.Random(options.seed), [], 0
    networks = ['all', 'replication', 'cluster'] * options.splits
    chooser.shuffle(networks)
    seen = {network: [] for network in networks}
    for number, network in enumerate(networks, 1):
        shot, after, stall, operations = one_cut(lab, directory, network, number * 100000, promises,
                                                  chooser.uniform(0, 2))
        look_inside(lab)
        seen[network].append((shot, stall))
        judged += operations
        if not options.quick:
            print(f'   cut {number}, {network}: {shot} off after {after:.1f} s, {other(shot)} stalled {stall:.1f} s; fsck clean, '
                  'replicas equal', flush=True)
    said = [f'{network}: shot {" ".join(shot for shot, _ in each)}, stalls up to {max(stall for _, stall in each):.1f} s'
            for network, each in seen.items()]
    return f'{"; ".join(said)}; {len(promises)} promises kept, {judged} reads and writes in order'
