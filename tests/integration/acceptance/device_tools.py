"""nbdinfo, nbdcopy, qemu-img, fio with verify, ext4 through nbdfuse and a loop device: all on the replicated device.
Overwrites r0: run it in a lab that was brought up with --no-mount."""
from .common import compare_replicas, expect


def check(lab, options):
    uri = {node: lab.device(node) for node in 'ab'}
    size = int(lab.output('a', 'nbdinfo', '--size', uri['a']))
    told = lab.output('a', 'nbdinfo', '--json', uri['a'])
    for needed in ('"can_flush": true', '"can_fua": true', '"can_trim": true', '"can_zero": true', '"can_multi_conn": true'):
        expect(needed in told, f'nbdinfo: {needed} is missing in {told}')
    image = '/tmp/acceptance.img'
    lab.run('a', 'sh', '-c', f'head -c 64M /dev/urandom > {image} && truncate -s {size} {image}')
    lab.run('a', 'nbdcopy', '--flush', image, uri['a'], timeout=600)
    lab.run('a', 'qemu-img', 'compare', '-f', 'raw', '-F', 'raw', image, uri['a'], timeout=600)
    lab.run('b', 'sh', '-c', f'nbdcopy "$0" - | head -c 64M | sha256sum > /tmp/sum', uri['b'], timeout=600)
    sums = [lab.output('a', 'sh', '-c', f'head -c 64M {image} | sha256sum'), lab.output('b', 'cat', '/tmp/sum')]
    expect(sums[0] == sums[1], 'b reads other bytes than a copied')
    lab.run('b', 'qemu-img', 'create', '-q', '-f', 'raw', '/tmp/other.img', str(size))
    lab.run('b', 'sh', '-c', 'head -c 32M /dev/urandom | dd of=/tmp/other.img conv=notrunc bs=1M status=none')
    lab.run('b', 'qemu-img', 'convert', '-n', '-f', 'raw', '-O', 'raw', '/tmp/other.img', uri['b'], timeout=600)
    lab.run('b', 'qemu-img', 'compare', '-f', 'raw', '-F', 'raw', '/tmp/other.img', uri['b'], timeout=600)
    for node in 'ab':
        lab.run(node, 'fio', '--name=verify', '--ioengine=nbd', f'--uri={uri[node]}', '--rw=randwrite', '--bsrange=4k-64k',
                '--size=64M', '--io_size=64M', '--iodepth=16', '--verify=crc32c', '--do_verify=1', '--verify_fatal=1', '--output=/tmp/fio.out', timeout=600)
    lab.run('a', 'sh', '-c', EXT4, uri['a'], timeout=600)
    return f'all clients content; replicas equal over {compare_replicas(lab)} bytes'


EXT4 = '''set -e
mkdir -p /tmp/nbd && : > /tmp/nbd/r0
nbdfuse /tmp/nbd/r0 "$0" &
fuse=$!
trap 'umount /tmp/nbd/r0 2>/dev/null || fusermount3 -u /tmp/nbd/r0; wait $fuse' EXIT
for i in $(seq 100); do mountpoint -q /tmp/nbd/r0 && break; sleep 0.1; done
loop=$(losetup -f --show /tmp/nbd/r0)
mkfs.ext4 -q -F $loop
mkdir -p /tmp/ext4 && mount $loop /tmp/ext4
cp -r /usr/share/doc/git* /tmp/ext4/ 2>/dev/null || cp -r /etc/corosync /tmp/ext4/
umount /tmp/ext4
e2fsck -f -n $loop
losetup -d $loop
'''
