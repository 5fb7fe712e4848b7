"""nbdinfo, nbdcopy, qemu-img, fio with verify, ext4 through nbdfuse and a loop device: all on the replicated device.
Overwrites r0: run it in a lab without a filesystem."""
from .common import compare_replicas, expect, expect_safe, look


def check(lab, options):
    uri = {node: lab.device(node) for node in 'ab'}
    size = int(lab.output('a', 'nbdinfo', '--size', uri['a']))
    told = lab.output('a', 'nbdinfo', '--json', '--no-content', uri['a'])
    for needed in ('"can_flush": true', '"can_fua": true', '"can_trim": true', '"can_zero": true', '"can_multi_conn": true'):
        expect(needed in told, f'nbdinfo: {needed} is missing in {told}')
    image = '/run/lab/acceptance.img'
    lab.run('a', 'sh', '-c', f'head -c 64M /dev/urandom > {image} && truncate -s {size} {image}')
    lab.run('a', 'nbdcopy', '--flush', image, uri['a'], timeout=600)
    look(lab, 'a', 'qemu-img', 'compare', '-f', 'raw', '-F', 'raw', image, uri['a'], timeout=600)
    lab.run('b', 'sh', '-c', f'nbdcopy "$0" - | head -c 64M | sha256sum > /run/lab/sum', uri['b'], timeout=600)
    sums = [lab.output('a', 'sh', '-c', f'head -c 64M {image} | sha256sum'), lab.output('b', 'cat', '/run/lab/sum')]
    expect_safe(sums[0] == sums[1], 'b reads other bytes than a copied')
    lab.run('b', 'qemu-img', 'create', '-q', '-f', 'raw', '/run/lab/other.img', str(size))
    lab.run('b', 'sh', '-c', 'head -c 32M /dev/urandom | dd of=/run/lab/other.img conv=notrunc bs=1M status=none')
    lab.run('b', 'qemu-img', 'convert', '-n', '-f', 'raw', '-O', 'raw', '/run/lab/other.img', uri['b'], timeout=600)
    look(lab, 'b', 'qemu-img', 'compare', '-f', 'raw', '-F', 'raw', '/run/lab/other.img', uri['b'], timeout=600)
    for node in 'ab':
        look(lab, node, 'fio', '--name=verify', '--ioengine=nbd', f'--uri={uri[node]}', '--rw=randwrite', '--bsrange=4k-64k',
                '--size=64M', '--io_size=64M', '--iodepth=16', '--verify=crc32c', '--do_verify=1', '--verify_fatal=1',
                '--verify_state_save=0', '--output=/run/lab/fio.out', timeout=600)
    look(lab, 'a', 'sh', '-c', EXT4, uri['a'], timeout=600)
    return f'all clients content; replicas equal over {compare_replicas(lab)} bytes'


EXT4 = '''set -e
mkdir -p /run/lab/nbd && : > /run/lab/nbd/r0
nbdfuse /run/lab/nbd/r0 "$0" &
fuse=$!
trap 'umount /run/lab/nbd/r0 2>/dev/null || fusermount3 -u /run/lab/nbd/r0; wait $fuse' EXIT
for i in $(seq 1000); do mountpoint -q /run/lab/nbd/r0 && break; sleep 0.1; done
loop=$(losetup -f --show /run/lab/nbd/r0)
mkfs.ext4 -q -F $loop
mkdir -p /run/lab/ext4 && mount $loop /run/lab/ext4
cp -r /usr/share/doc/git* /run/lab/ext4/ 2>/dev/null || cp -r /etc/corosync /run/lab/ext4/
umount /run/lab/ext4
e2fsck -f -n $loop
losetup -d $loop
'''
