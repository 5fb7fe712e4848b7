"""The same on a GlusterFS volume with two replicas, on nodes of the same kind, where GlusterFS is installed."""
import contextlib
import os
import shutil
import sys
import time

from . import cross_node, files, places, table

common = places.common

VOLUME, MOUNTPOINT, BRICK = 'bench', '/srv/gluster', '/srv/brick'
# What the host has of it is none of the nodes' business.
START = f'''for folder in /var/lib/glusterd /var/log; do mount -t tmpfs none $folder; done
mkdir -p /var/log/glusterfs /run/gluster {BRICK} {MOUNTPOINT}
exec glusterd --log-file=/var/log/glusterfs/glusterd.log'''


class Nodes(places.LabClient):
    """A lab whose filesystem is the volume."""

    def mountpoint(self, node):
        return MOUNTPOINT

    def peer(self, node):
        return next(words[3].split('/')[0] for words in map(str.split, self.output(node, 'ip', '-4', '-o', 'address').splitlines())
                    if words[1] == 'replication')

    def gluster(self, *words):
        return self.output('a', 'gluster', '--mode=script', *words, timeout=90)

    def start(self):
        for node in common.NODES:
            self.run(node, 'sh', '-c', START)
        until = time.monotonic() + 30
        while self.run('a', 'gluster', '--mode=script', 'peer', 'probe', self.peer('b'), check=False).returncode != 0:
            common.expect(time.monotonic() < until, 'the peer does not answer')
            time.sleep(0.5)
        while 'Connected' not in self.gluster('peer', 'status'):
            common.expect(time.monotonic() < until, 'the peer is not connected')
            time.sleep(0.5)
        bricks = [f'{self.peer(node)}:{BRICK}' for node in common.NODES]
        self.gluster('volume', 'create', VOLUME, 'replica', '2', *bricks, 'force')
        self.gluster('volume', 'start', VOLUME)
        for node in common.NODES:
            self.mount(node)

    def mount(self, node):
        self.run(node, 'mount', '-t', 'glusterfs', f'{self.peer(node)}:/{VOLUME}', MOUNTPOINT, timeout=60)

    def remount(self, node):
        self.run(node, 'umount', MOUNTPOINT, timeout=60)
        self.mount(node)


@contextlib.contextmanager
def nodes(options):
    lab = Nodes(os.path.join(options.dir, 'gluster-lab'))
    lab.verb('down', check=False)
    try:
        lab.up('--size', '64M', '--stage', 'corosync')
        lab.start()
        yield lab
    finally:
        lab.verb('down', check=False)


def small(lab, remount, options):
    folder = common.fresh_directory(lab, 'small')
    return files.small(lambda *words: places.run_probe_in(lab, 'a', *words), remount, folder, options)


def measure(options):
    if shutil.which('glusterd') is None:
        print('\ngluster: GlusterFS is not installed', file=sys.stderr)
        return
    with places.nodes(options) as lab:
        ours = small(lab, lambda: places.remount(lab, 'a'), options)
        cross_node.measure(lab, options)
    with nodes(options) as lab:
        theirs = small(lab, lambda: lab.remount('a'), options)
        table.heading(f'gluster: {options.files} files of {options.bytes} bytes on a, against GlusterFS')
        for step, taken in ours.items():
            table.cost(files.NAMES[step], taken, theirs[step])
        print('\nGlusterFS itself:', end='')
        cross_node.measure(lab, options)
