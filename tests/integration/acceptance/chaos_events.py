"""What befalls two nodes under load. Each event is made with a random generator, names itself, is begun, and says whether
somebody has to go on writing through it. What it breaks is mended by its mend(), where it has one, and by heal()."""
import time

from .common import NODES, expect, other
from .scene import signal

DAEMONS = ('corosync', 'cfs-fenced', 'blockrepd', 'mount.cfs')
NETWORKS = ('replication', 'cluster', 'all')
BMC_FAULTS = ('stuck', 'slow', 'fail', 'hung')

class PowerCut:
    def __init__(self, chooser):
        self.nodes = list(NODES) if chooser.random() < 0.15 else [chooser.choice(NODES)]
        self.goes_on = len(self.nodes) == 1

    def __str__(self):
        return f'power of {" and ".join(self.nodes)} cut'

    def begin(self, lab):
        for node in self.nodes:
            lab.verb('crash', node)


class LinkCut:
    """Longer than the grace: somebody is shot; shorter: everybody goes on."""
    goes_on = True

    def __init__(self, chooser):
        self.network = chooser.choice(NETWORKS)
        self.seconds = chooser.choice([0.2, 1, 4, 12])

    def __str__(self):
        return f'{self.network} link cut for {self.seconds} s'

    def begin(self, lab):
        lab.verb('link', self.network, 'cut')
        time.sleep(self.seconds)
        lab.verb('link', self.network, 'heal')


class Pause:
    goes_on = True

    def __init__(self, chooser):
        self.node, self.daemon = chooser.choice(NODES), chooser.choice(DAEMONS)
        self.seconds = chooser.choice([0.2, 2, 12])

    def __str__(self):
        return f'{self.daemon} of {self.node} stopped for {self.seconds} s'

    def begin(self, lab):
        signal(lab, self.node, self.daemon, 'STOP')
        time.sleep(self.seconds)
        signal(lab, self.node, self.daemon, 'CONT')


class Kill:
    goes_on = True

    def __init__(self, chooser):
        self.node, self.daemon = chooser.choice(NODES), chooser.choice(DAEMONS)

    def __str__(self):
        return f'{self.daemon} of {self.node} killed'

    def begin(self, lab):
        signal(lab, self.node, self.daemon, 'KILL')


class DeathBehindABadBmc:
    """Nobody goes on until the BMC can be believed."""
    goes_on = True

    def __init__(self, chooser):
        self.node, self.fault = chooser.choice(NODES), chooser.choice(BMC_FAULTS)
        self.seconds = chooser.uniform(3, 10)

    def __str__(self):
        return f'power of {self.node} cut, its BMC {self.fault} for {self.seconds:.0f} s'

    def begin(self, lab):
        lab.verb('bmc', self.node, self.fault)
        lab.verb('crash', self.node)
        time.sleep(self.seconds)
        lab.verb('bmc', self.node, 'ok')


class FullDisk:
    goes_on = True

    def __init__(self, chooser):
        self.node = chooser.choice(NODES)

    def __str__(self):
        return f'disk filled by {self.node}'

    def begin(self, lab):
        path = f'{lab.mountpoint(self.node)}/filler'
        lab.run(self.node, 'dd', 'if=/dev/zero', f'of={path}', 'bs=1M', check=False, timeout=600)
        time.sleep(1)
        lab.run(other(self.node), 'rm', path, timeout=600)

    def mend(self, lab):
        for node in NODES:
            lab.run(node, 'rm', '-f', f'{lab.mountpoint(node)}/filler', check=False, timeout=600)


class LinkFlaps:
    """Down and up again faster than anybody can be sure of anything."""
    goes_on = True

    def __init__(self, chooser):
        self.network = chooser.choice(NETWORKS)
        self.times = [(chooser.uniform(0.05, 1.5), chooser.uniform(0.05, 1.5)) for _ in range(chooser.randrange(2, 6))]

    def __str__(self):
        return f'{self.network} link flaps {len(self.times)} times'

    def begin(self, lab):
        for down, up in self.times:
            lab.verb('link', self.network, 'cut')
            time.sleep(down)
            lab.verb('link', self.network, 'heal')
            time.sleep(up)


class DeathDuringReturn:
    """A node comes back, and while it catches up one of the two dies."""
    goes_on = False

    def __init__(self, chooser):
        self.first, self.second = chooser.choice(NODES), chooser.choice(NODES)
        self.seconds = chooser.uniform(0.5, 4)

    def __str__(self):
        return f'{self.first} dies, returns; {self.second} dies after {self.seconds:.1f} s'

    def begin(self, lab):
        lab.verb('crash', self.first)
        time.sleep(6)
        lab.verb('power', self.first, 'on')
        time.sleep(self.seconds)
        lab.verb('crash', self.second)
        time.sleep(3)


class FailingDisk:
    """Of one node, for some seconds at least; mended, it is attached again."""
    seconds_between = None

    def __init__(self, chooser):
        self.node = chooser.choice(NODES)
        self.seconds = chooser.uniform(*self.seconds_between)

    def begin(self, lab):
        lab.verb('disk', self.node, 'fail')
        time.sleep(self.seconds)

    def mend(self, lab):
        lab.verb('disk', self.node, 'ok')
        attach_again(lab, self.node)


class DiskError(FailingDisk):
    """The other node's disk serves both; the broken one is replaced and filled again."""
    goes_on = True
    seconds_between = (0.1, 5)

    def __str__(self):
        return f'disk of {self.node} fails for {self.seconds:.1f} s'


class DiskErrorThenDeath(FailingDisk):
    """What only the dead one has must come back from it, and until then nothing may be made up."""
    goes_on = False
    seconds_between = (0.5, 3)

    def __str__(self):
        return f'disk of {self.node} fails, {other(self.node)} dies {self.seconds:.1f} s later'

    def begin(self, lab):
        super().begin(lab)
        lab.verb('crash', other(self.node))
        time.sleep(8)


def attach_again(lab, node):
    """As the operator does who has a disk again; one that never noticed the failure has it still."""
    if lab.verb('power', node, 'status') != 'on\n' or lab.run(node, 'blockrepadm', 'dstate', 'r0', check=False).returncode != 0:
        return
    if not lab.output(node, 'blockrepadm', 'dstate', 'r0').startswith('Diskless'):
        return
    done = lab.run(node, 'blockrepadm', 'attach', 'r0', check=False, timeout=300)
    expect(done.returncode == 0, f'attach on {node}: {done.stderr}')


EVENTS = (PowerCut, PowerCut, LinkCut, LinkCut, LinkFlaps, Pause, Pause, Kill, DeathBehindABadBmc, FullDisk, DeathDuringReturn,
          DiskError, DiskError, DiskErrorThenDeath)
