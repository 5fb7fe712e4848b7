"""kill -9 of each daemon under writers on both nodes (mount.cfs: dead_mount): what docs/FAILURE_MODEL.md says happens, does."""
import random
import time

from .common import NODES, expect, expect_safe, fresh_directory, other
from .no_proof import is_silent
from .partitions import powers
from .register import check_the_judge
from .scene import Scene, heal, kill_line, look_inside, signal, start_daemon, start_line

TOO_LONG = 300   # seconds until whoever is to be shot must be off


def expect_both_alive(lab, what):
    expect(all(state == 'on' for state in powers(lab).values()), f'{what}: somebody was shot: {powers(lab)}')


def fences(lab, node):
    return lab.output(node, 'cfs-fence', 'history').count('\n')


def must_be_shot(lab, scene, node, daemon):
    """Without this daemon a node cannot go on, and nobody starts it: the other one shoots it and goes on."""
    signal(lab, node, daemon, 'KILL')
    until = time.monotonic() + TOO_LONG
    while powers(lab)[node] == 'on':
        expect(time.monotonic() < until, f'{daemon} of {node} killed: not shot within {TOO_LONG} s')
        time.sleep(0.1)
    scene.wait_for_progress([other(node)])
    expect(powers(lab)[other(node)] == 'on', f'{daemon} of {node} killed: both were shot')
    said = f'{daemon}: shot, {other(node)} stalled {scene.stall(other(node)):.1f} s'
    scene.end(must_succeed=[other(node)])
    return said


def blockrepd_comes_back(lab, scene, node):
    """Started anew within the grace: the mount's requests have waited for it, nobody is shot."""
    before = fences(lab, other(node))
    # In one go: a lab verb each would take longer than the grace on a busy machine.
    lab.run(node, 'timeout', '100', 'sh', '-c', f'{kill_line("blockrepd", "KILL")}; while grep -qx blockrepd /proc/[0-9]*/comm 2> /dev/null; do sleep 0.05; done; '
            f'{start_line("blockrepd")}; for verb in up primary; do until blockrepadm $verb r0; do sleep 0.1; done; done', timeout=120)
    scene.wait_for_progress(NODES)
    expect_both_alive(lab, 'blockrepd started anew')
    expect(fences(lab, other(node)) == before, 'blockrepd started anew: a fence is in the history')
    said = f'blockrepd started anew: both go on, stalled {scene.stall("a"):.1f} and {scene.stall("b"):.1f} s'
    scene.end(must_succeed=NODES)
    return said


def fencing_comes_back(lab, scene, node):
    """Without its cfs-fenced a node goes on, but believes no death: when the other one dies it waits until it has it again."""
    signal(lab, node, 'cfs-fenced', 'KILL')
    time.sleep(6)
    scene.wait_for_progress(NODES)
    expect_both_alive(lab, 'cfs-fenced killed')
    quiet = max(scene.stall(each) for each in NODES)
    lab.verb('crash', other(node))
    time.sleep(8)
    expect_safe(is_silent(scene.loads[node], 2), f'{node} goes on without proof that {other(node)} is dead')
    started = time.monotonic()
    start_daemon(lab, node, 'cfs-fenced')
    scene.wait_for_progress([node])
    said = (f'cfs-fenced: nobody noticed ({quiet:.1f} s); then {other(node)} died, {node} waited for cfs-fenced and went on '
            f'{time.monotonic() - started:.1f} s after it was back')
    scene.end(must_succeed=[node])
    return said


CASES = {
    'cfs-fenced': fencing_comes_back,
    'blockrepd': lambda lab, scene, node: must_be_shot(lab, scene, node, 'blockrepd'),
    'corosync': lambda lab, scene, node: must_be_shot(lab, scene, node, 'corosync'),
    'blockrepd again': blockrepd_comes_back,
}


def chosen(chooser, quick):
    """Every case on both nodes; or quickly, each on one of them, and one of the two that look alike. Only on a, which is shot
    after a delay, there is time for a new start however busy the machine is."""
    if not quick:
        return [(name, node) for name in CASES for node in NODES]
    left_out = chooser.choice(['blockrepd', 'corosync'])
    return [(name, 'a' if name == 'blockrepd again' else chooser.choice(NODES)) for name in CASES if name != left_out]


def check(lab, options):
    check_the_judge()
    directory = fresh_directory(lab, 'daemon-kills')
    chooser, promises, said, judged = random.Random(options.seed), [], [], 0
    for number, (name, node) in enumerate(chosen(chooser, options.quick), 1):
        scene = Scene(lab, directory, number * 100000, promises)
        try:
            said.append(f'{node}: {CASES[name](lab, scene, node)}')
        finally:
            scene.end()
        heal(lab)
        judged += scene.judge()
        if not options.quick:
            print(f'   {said[-1]}', flush=True)
    look_inside(lab)
    return f'{"; ".join(said)}; {len(promises)} promises kept, {judged} reads and writes in order'
