"""As long as nobody can prove that the other node is dead, nothing goes on; nothing is acknowledged, nothing is lost.
First the links are cut while no BMC works, then healed: both go on in the same lives. Then a dies and its BMC lies for a
while: b waits for it, and goes on when the BMC can be believed again."""
import json
import time

from .common import NODES, Broken, boot_seconds, expect_safe, fresh_directory, same_listing
from .power_cuts import Load, check_promises, wait_until_writing

DETECTION = 6   # seconds: by then every node has noticed a cut


def is_silent(load, seconds):
    """Whether the load gets no answer any more for so long."""
    began = boot_seconds()
    time.sleep(seconds)
    return not any(when > began for when, _ in load.promises)


def links_without_bmcs(lab, loads):
    for node in NODES:
        lab.verb('bmc', node, 'fail')
    lab.verb('link', 'all', 'cut')
    time.sleep(DETECTION)
    for node, load in loads.items():
        expect_safe(is_silent(load, 3), f'{node} writes on although nobody knows whether the other one does')
    lab.verb('link', 'all', 'heal')
    for node in NODES:
        lab.verb('bmc', node, 'ok')
    until = time.monotonic() + 300
    counts = {node: len(load.promises) for node, load in loads.items()}
    while not any(len(load.promises) > counts[node] + 20 for node, load in loads.items()):
        if time.monotonic() > until:
            raise Broken('nobody writes 300 s after the links were healed')
        time.sleep(0.1)
    return who_is_on_for_good(lab)


def who_is_on_for_good(lab):
    """The nodes that have power, once nobody is wanted dead any more: an order may still be on its way before."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        alive = [node for node in NODES if lab.verb('power', node, 'status') == 'on\n']
        told = [lab.run(node, 'cfs-fence', 'status', '--json', check=False) for node in alive]
        states = [json.loads(each.stdout)['fencing'] for each in told if each.returncode == 0]
        if len(states) == len(alive) and not any(state['fences'] or state['running'] for state in states):
            return alive
        time.sleep(0.2)
    raise Broken('300 s after all was healed somebody is still wanted dead')


def death_behind_a_lie(lab, load):
    lab.verb('bmc', 'a', 'stuck')
    lab.verb('link', 'all', 'cut')      # a lives, and its BMC says OK and does nothing
    time.sleep(DETECTION)
    expect_safe(is_silent(load, 4), 'b writes on although a is not proven dead')
    lab.verb('bmc', 'a', 'ok')
    wait_until_writing(load, len(load.promises) + 20)
    lab.verb('link', 'all', 'heal')


def check(lab, options):
    directory = fresh_directory(lab, 'no-proof')
    loads = {node: Load(lab, node, directory, 100000) for node in NODES}
    for load in loads.values():
        wait_until_writing(load, 20)
    alive = links_without_bmcs(lab, loads)
    for load in loads.values():
        load.stop(expect_success=load.node in alive)
    promises = [(node, text) for node, load in loads.items() for _, text in load.promises]
    for node in NODES:
        if node not in alive:
            lab.verb('power', node, 'on')
    lab.wait_healthy()
    check_promises(lab, 'b', directory, promises)
    lab.verb('bmc', 'b', 'fail')        # a may try what it wants: b is the one who must live
    load = Load(lab, 'b', directory, 200000)
    wait_until_writing(load, 20)
    death_behind_a_lie(lab, load)
    load.stop(expect_success=True)
    promises += [('b', text) for _, text in load.promises]
    lab.verb('bmc', 'b', 'ok')
    lab.verb('power', 'a', 'on')
    lab.wait_healthy()
    check_promises(lab, 'a', directory, promises)
    return f'alive after the healed cut: {" ".join(alive)}; {len(promises)} promises kept, {same_listing(lab, directory)} names'
