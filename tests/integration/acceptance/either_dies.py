"""The power of a randomly chosen node is cut while both write and dbench runs on both: the other goes on, nothing promised
is lost, fsck is clean. The chosen node is not always the one that mounted last, masters the locks or holds slot 0."""
import random
import subprocess

from .common import NODES, check_filesystem, compare_replicas, fresh_directory, mount_both, other, unmount_both
from .power_cuts import Load, check_promises, wait_until_writing


def start_noise(lab, node, directory):
    lab.run(node, 'mkdir', '-p', f'{directory}/noise-{node}')
    return lab.popen(node, 'dbench', '-t', '60', '-D', f'{directory}/noise-{node}', '2', stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL)


def one_death(lab, directory, victim, first, promises):
    loads = {node: Load(lab, node, directory, first) for node in NODES}
    noise = [start_noise(lab, node, directory) for node in NODES]
    survivor = loads[other(victim)]
    try:
        for load in loads.values():
            wait_until_writing(load, 20)
        lab.verb('crash', victim)
        wait_until_writing(survivor, len(survivor.promises) + 30)
        survivor.stop(expect_success=True)
        loads[victim].stop(expect_success=False)
    finally:
        for process in [load.process for load in loads.values()] + noise:
            if process.poll() is None:
                process.kill()
                process.wait()
    lab.run(other(victim), 'sh', '-c', 'for pid in $(pidof dbench); do kill -9 $pid; done', check=False)
    for node, load in loads.items():
        promises += [(node, text) for _, text in load.promises]
    check_promises(lab, other(victim), directory, promises)
    lab.verb('power', victim, 'on')
    lab.wait_healthy()
    check_promises(lab, victim, directory, promises)


def check(lab, options):
    chooser, promises, victims = random.Random(options.seed), [], []
    directory = fresh_directory(lab, 'either-dies')
    for turn in range(1, options.cuts + 1):
        victims.append(chooser.choice(NODES))
        one_death(lab, directory, victims[-1], turn * 100000, promises)
        unmount_both(lab)
        check_filesystem(lab)
        compare_replicas(lab)
        mount_both(lab)
    return f'{len(promises)} promises kept, died: {" ".join(victims)}'
