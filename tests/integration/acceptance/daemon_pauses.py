"""SIGSTOP of each daemon for 0.2, 2 and 12 s under writers on both nodes: nothing is lost, the history stays in order, and who
is shot is who docs/FAILURE_MODEL.md says."""
import random
import time

from .common import NODES, expect, fresh_directory, other
from .partitions import powers
from .register import check_the_judge
from .scene import Scene, heal, kill_line, look_inside

SECONDS = (0.2, 2, 12)
NOBODY, STOPPED, PERHAPS = 'nobody is shot', 'the stopped one is shot', 'the stopped one may be shot'
OUTCOMES = {
    'mount.cfs': (NOBODY, NOBODY, NOBODY),
    'cfs-fenced': (NOBODY, NOBODY, NOBODY),
    'blockrepd': (NOBODY, NOBODY, STOPPED),
    'corosync': (NOBODY, PERHAPS, STOPPED),
}
SLACK = 5   # seconds that a stall may be longer than the pause where nobody is shot


def one_pause(lab, directory, first, promises, daemon, node, seconds, outcome):
    """(what was seen in words, reads and writes judged)."""
    what = f'{daemon} of {node} stopped for {seconds} s'
    scene = Scene(lab, directory, first, promises)
    try:
        stay = 'sleep 200; ' if outcome == STOPPED else ''    # until the shot ends it all
        # In one go: a lab verb each takes as long as a pause on a busy machine.
        lab.run(node, 'sh', '-c', f'{kill_line(daemon, "STOP")}; sleep {seconds}; {stay}{kill_line(daemon, "CONT")}', check=False, timeout=300)
        expect(outcome != STOPPED or powers(lab)[node] == 'off', f'{what}: it was not shot')
        scene.wait_for_progress([other(node)])
        off = [each for each, state in powers(lab).items() if state == 'off']
        if outcome == NOBODY or (outcome == PERHAPS and not off):
            scene.wait_for_progress([node])
            time.sleep(1)
            off = [each for each, state in powers(lab).items() if state == 'off']
        allowed = {NOBODY: [[]], STOPPED: [[node]], PERHAPS: [[], [node]]}[outcome]
        expect(off in allowed, f'{what}: off are {off}')
        stalls = {each: scene.stall(each) for each in NODES if each not in off}
        expect(off or max(stalls.values()) < seconds + SLACK, f'{what}: stalled {stalls}')
        scene.end(must_succeed=[each for each in NODES if each not in off])
    finally:
        scene.end()
    heal(lab)
    seen = ' and '.join(f'{each} stalled {stall:.1f} s' for each, stall in stalls.items())
    return f'{what}: {f"{node} shot, " if off else ""}{seen}', scene.judge()


def cases(options):
    """At full size everything on both nodes; else every daemon once, in a time that is chosen by the seed."""
    chooser = random.Random(options.seed)
    for daemon, outcomes in OUTCOMES.items():
        both = [(daemon, node, seconds, outcome) for seconds, outcome in zip(SECONDS, outcomes) for node in NODES]
        yield from [chooser.choice(both)] if options.quick else both


def check(lab, options):
    check_the_judge()
    directory = fresh_directory(lab, 'daemon-pauses')
    promises, said, judged = [], [], 0
    for number, case in enumerate(cases(options), 1):
        seen, operations = one_pause(lab, directory, number * 100000, promises, *case)
        said.append(seen)
        judged += operations
        if not options.quick:
            print(f'   {seen}', flush=True)
    look_inside(lab)
    return (f'{"; ".join(said) if options.quick else f"{len(said)} pauses"}; {len(promises)} promises kept, {judged} reads and '
            'writes in order')
