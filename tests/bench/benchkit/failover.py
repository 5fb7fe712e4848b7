"""The power of a is cut under a load on both nodes: when the first new write of b was durable."""
import random
import time

from . import places, table

from acceptance import power_cuts  # noqa: E402


def measure(lab, options):
    table.heading('failover (seconds from the cut, token 1000)')
    directory = places.common.fresh_directory(lab, 'failover')
    promises, cuts = [], []
    for number in range(1, options.cuts + 1):
        cuts.append(power_cuts.one_cut(lab, directory, number, random.Random(time.time()), promises))
        power_cuts.check_promises(lab, 'b', directory, promises)
        lab.verb('power', 'a', 'on')
        lab.wait_healthy(90)
    slowest = max(cuts, key=lambda cut: cut.total)
    table.figure(f'first new write of the survivor, slowest of {len(cuts)}', f'{slowest.total:.2f} s', '< 5 s')
    for name in ('detection', 'fencing', 'recovery'):
        table.figure(f'  of that {name}', f'{getattr(slowest, name):.2f} s')
