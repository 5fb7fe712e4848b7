"""The contract of the verbs, in a lab that is up and healthy."""
import os

from expectations import lab_verb, pings
from verdicts import Broken, eventually, expect


def exec_is_transparent(lab):
    expect(lab.run('a', 'sh', '-c', 'exit 7', check=False).returncode == 7, 'exec must return the exit status')
    expect(lab.output('a', 'hostname') == 'a\n', 'exec a runs in node a')
    expect(lab.run('b', 'cat', input='through\n').stdout == 'through\n', 'exec passes standard input')
    expect(lab.run('b', 'printf', '%s|', 'two words', '--', '-x').stdout == 'two words|--|-x|', 'arguments unchanged')
    expect(lab.run('a', '/does/not/exist', check=False).returncode == 127, 'a missing command is 127')


def verbs_print_only_what_is_asked(lab):
    for node in ('a', 'b'):
        expect(lab.verb('mountpoint', node).startswith('/'), 'mountpoint prints a path')
        expect(lab.verb('device', node) == 'nbd+unix:///r0?socket=/run/blockrep/nbd.sock\n', 'device prints the NBD URI')
        expect(lab.verb('power', node, 'status') == 'on\n', 'power status prints on')
    expect(lab.verb('bmc', 'a', 'ok') == '' and lab.verb('link', 'all', 'heal') == '', 'changes print nothing')
    eventually(lambda: lab.status()['healthy'] is True, 'status --json knows healthy')


def wrong_use_is_refused(lab):
    for words in (('exec', 'z', '--', 'true'), ('power', 'a', 'maybe'), ('link', 'moon', 'cut'), ('bmc', 'a', 'odd'),
                  ('mountpoint', 'c'), ('exec', 'a'), ('frobnicate',)):
        done = lab_verb(lab.directory, *words)
        expect(done.returncode != 0 and done.stdout == '' and done.stderr != '', f'{words} must fail and say why')
    expect('up already' in lab_verb(lab.directory, 'up', '--stage', 'corosync').stderr, 'a second up in the same place must be refused')
    for words in (('status',), ('exec', 'a', '--', 'true'), ('wait', 'healthy', '--timeout', '1')):
        expect(lab_verb(lab.directory + '-none', *words).returncode != 0, f'{words} without a lab must fail')
    if os.path.exists(lab.directory + '-none'):
        raise Broken('asking for a lab that is not there made its directory')


def nodes_are_separate_machines(lab):
    for kind in ('pid', 'mnt', 'net', 'uts', 'ipc'):
        spaces = {lab.output(node, 'readlink', f'/proc/self/ns/{kind}') for node in ('a', 'b')}
        expect(len(spaces | {os.readlink(f'/proc/self/ns/{kind}') + '\n'}) == 3, f'{kind} namespaces must differ')
    lab.run('a', 'sh', '-c', 'echo x > /run/mark; echo x > /etc/mark; echo x > /var/lib/corosync/mark; echo x > /srv/mark')
    for path in ('/run/mark', '/etc/mark', '/var/lib/corosync/mark', '/srv/mark'):
        expect(lab.run('b', 'test', '-e', path, check=False).returncode == 1, f'{path} of a is seen in b')
        expect(not os.path.exists(path), f'{path} of a is seen on the host')
    expect(lab.run('a', 'test', '-e', '/etc/shadow', check=False).returncode == 1, "the host's secrets are in the node")


def networks_are_three(lab):
    for name in ('b', 'b-cluster', 'b-replication', 'b-management', 'bmc-b', 'bmc-a'):
        eventually(lambda name=name: pings(lab, 'a', name), f'a must reach {name}')
    addresses = lab.output('a', 'ip', '-br', '-4', 'addr')
    for network in ('cluster', 'replication', 'management'):
        expect(network in addresses, f'a has no interface {network}: {addresses}')


CHECKS = [exec_is_transparent, verbs_print_only_what_is_asked, wrong_use_is_refused, nodes_are_separate_machines,
          networks_are_three]
