"""Both nodes lose their power in the middle of writing, and both come back: what was fsynced is there, on both."""
from .common import NODES, check_filesystem, compare_replicas, fresh_directory, mount_both, unmount_both
from .power_cuts import Load, check_promises, wait_until_writing


def check(lab, options):
    directory = fresh_directory(lab, 'both-off')
    promises = []
    for turn in range(1, 3):
        loads = [Load(lab, node, directory, turn * 100000) for node in NODES]
        for load in loads:
            wait_until_writing(load, 50)
        for node in NODES:
            lab.verb('crash', node)
        for load in loads:
            load.stop(expect_success=False)
            promises += [(load.node, text) for _, text in load.promises]
        for node in NODES:
            lab.verb('power', node, 'on')
        lab.wait_healthy()
        for node in NODES:
            check_promises(lab, node, directory, promises)
    unmount_both(lab)
    check_filesystem(lab)
    compared = compare_replicas(lab)
    mount_both(lab)
    return f'{len(promises)} promises kept through 2 power cuts of both; replicas equal over {compared} bytes'
