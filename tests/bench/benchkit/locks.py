"""fcntl and flock locks: uncontended on one node, and one lock wanted by both nodes all the time."""
import subprocess

from . import cross_node, places, table

common = places.common


def alone(lab, kind, path, options):
    words = lab.output('a', '/usr/bin/python3', cross_node.program('lock_alone.py'), kind, path, options.seconds).split()
    return int(words[0]) / options.seconds


def handovers(said):
    """How often the lock went from one node to the other: every program tells when it got it."""
    moments = sorted((float(word), node) for node, words in said.items() for word in words)
    changes = sum(1 for earlier, later in zip(moments, moments[1:]) if earlier[1] != later[1])
    return changes / (moments[-1][0] - moments[0][0])


def multicast(lab, options):
    """Messages a second, each an answer to the other node's: a hand-over of an fcntl lock is one of them."""
    program = places.built('bench_multicast')
    sides = [lab.popen(node, program, place, options.seconds, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
             for node, place in zip(common.NODES, ('first', 'second'))]
    return max(float(common.finish(side, 'bench_multicast')) for side in sides)


def measure(lab, options):
    table.heading('locks')
    for kind in ('fcntl', 'flock'):
        path = common.fresh_directory(lab, f'lock-{kind}') + '/lock'
        lab.run('a', 'touch', path)
        table.figure(f'{kind}: lock and unlock, one node alone', f'{alone(lab, kind, path, options):,.0f} /s')
        said = cross_node.both(lab, 'lock_both.py', kind, path, options.seconds)
        if kind == 'fcntl':
            table.speed(f'{kind}: hand-overs between the nodes', handovers(said), multicast(lab, options), '/s', '>= 2,000')
        else:
            table.figure(f'{kind}: hand-overs between the nodes', f'{handovers(said):,.0f} /s')
