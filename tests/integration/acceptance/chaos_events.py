"""What befalls two nodes under load. Each event is made with a random generator, names itself, is begun, and says whether
somebody has to go on writing through it. What it breaks is mended by restore() in chaos."""
import time

from .common import NODES, other

DAEMONS = ('corosync', 'cfs-fenced', 'blockrepd', 'mount.cfs')
NETWORKS = ('replication', 'cluster', 'all')
BMC_FAULTS = ('stuck', 'slow', 'fail', 'hung')

SIGNAL = ('for each in /proc/[0-9]*; do [ "$(cat $each/comm)" = {0} ] && kill -{1} ${{each#/proc/}}; done 2>/dev/null; true')


def signal(lab, node, daemon, name):
    lab.run(node, 'sh', '-c', SIGNAL.format(daemon, name), check=False, timeout=30)


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
        lab.run(self.node, 'dd', 'if=/dev/zero', f'of={path}', 'bs=1M', check=False, timeout=300)
        time.sleep(1)
        lab.run(other(self.node), 'rm', path, timeout=120)


EVENTS = (PowerCut, PowerCut, LinkCut, LinkCut, Pause, Pause, Kill, DeathBehindABadBmc, FullDisk)
