"""Checks with programs that ask for fences, as blockrepd and mount.cfs do."""
import json
import os
import random
import re
import shutil
import time

from verdicts import Broken, eventually, expect, expect_safe

HERE = os.path.dirname(os.path.abspath(__file__))
ID = {'a': '1', 'b': '2'}


class Asker:
    """One program inside a node."""

    def __init__(self, lab, node, *words):
        shutil.copy(os.path.join(HERE, 'inside/asker.py'), os.path.join(lab.directory, node, 'etc'))
        self.process = lab.popen(node, '/usr/bin/python3', '/etc/asker.py', *words, stdin=-1, stdout=-1)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.text = ''
        try:
            eventually(lambda: self.events(), 'cfs-fenced answers')
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()

    def events(self):
        """(seconds since boot, event) so far."""
        try:
            self.text += os.read(self.process.stdout.fileno(), 1 << 20).decode()
        except BlockingIOError:
            pass
        lines = self.text.split('\n')[:-1]
        return [(float(line.split(' ', 1)[0]), json.loads(line.split(' ', 1)[1])) for line in lines]

    def withdraw(self):
        self.process.stdin.write('withdraw\n')
        self.process.stdin.flush()

    def death(self, life):
        """When it was told that this life is over."""
        for moment, event in self.events():
            if event.get('event') == 'dead' and event['incarnation'] == life:
                return moment
        return None


def life(lab, node):
    return lab.output(node, 'cat', '/run/cfs/incarnation').strip()


def orders(lab, node, what):
    with open(os.path.join(lab.directory, node, 'log/power.log'), encoding='utf-8') as log:
        return len(re.findall(f'BMC told: {what}', log.read()))


def powered(lab):
    return ''.join(node for node in 'ab' if lab.verb('power', node, 'status') == 'on\n')


def pending(lab, node):
    return json.loads(lab.output(node, 'cfs-fence', 'status', '--json'))['fencing']['fences']


def mend(lab):
    lab.verb('link', 'cluster', 'heal')
    for node in 'ab':
        lab.verb('bmc', node, 'ok')
        lab.verb('power', node, 'on')
    lab.wait_healthy()


def a_dead_node_is_fenced_soon(lab):
    of_b, asked = life(lab, 'b'), orders(lab, 'b', 'off')
    lab.verb('crash', 'b')
    with Asker(lab, 'a', ID['b'], of_b) as asker:
        eventually(lambda: asker.death(of_b), 'b is known to be dead')
        took = asker.death(of_b) - asker.events()[0][0]
        expect(took < 30, f'who is off already is known dead soon, not after {took:.1f} s')
    expect(orders(lab, 'b', 'off') == asked, 'who is off already is known dead without an order to its BMC')
    mend(lab)
    expect(life(lab, 'b') != of_b, 'b lives a new life')
    with Asker(lab, 'b') as asker:
        eventually(lambda: asker.death(of_b), 'b itself knows that its old life is over')
    return f'{took:.2f} s after it was asked for'


def of_a_split_pair_exactly_one_lives(lab):
    """Whenever the two sides ask."""
    said = []
    for _ in range(3):
        lives = {node: life(lab, node) for node in 'ab'}
        waits = {node: random.uniform(0, 5) for node in 'ab'}
        lab.verb('link', 'cluster', 'cut')
        started = time.monotonic()
        askers = {}
        for node in sorted('ab', key=lambda n: waits[n]):
            time.sleep(max(0, started + waits[node] - time.monotonic()))
            other = 'b' if node == 'a' else 'a'
            try:
                askers[node] = Asker(lab, node, ID[other], lives[other])
            except Broken:
                expect(node not in powered(lab), f'{node} does not answer')  # it was shot before it could ask
        eventually(lambda: len(powered(lab)) == 1, 'one is shot', 300)
        survivor = powered(lab)
        dead = 'b' if survivor == 'a' else 'a'
        expect(survivor in askers, f'{survivor} lives and could not ask')
        eventually(lambda: askers[survivor].death(lives[dead]), 'the survivor knows')
        expect_safe(dead not in powered(lab), f'{dead} has power and is said to be dead')
        time.sleep(3)
        expect(powered(lab) == survivor, f'exactly {survivor} lives, not {powered(lab) or "none"} (asked {waits})')
        for asker in askers.values():
            asker.__exit__()
        said.append(f'{survivor} (asked after {waits["a"]:.1f}/{waits["b"]:.1f} s)')
        mend(lab)
    return 'survivors ' + ', '.join(said)


def a_withdrawal_in_time_saves(lab):
    before = orders(lab, 'a', 'off')
    with Asker(lab, 'b', ID['a'], life(lab, 'a')) as asker:
        eventually(lambda: pending(lab, 'a'), 'the request is known on a')
        asker.withdraw()
        eventually(lambda: not pending(lab, 'a'), 'the withdrawal is known on a')
        time.sleep(2)
        expect_safe(not asker.death(life(lab, 'a')), 'a is not dead')
    expect(orders(lab, 'a', 'off') == before and powered(lab) == 'ab', 'nobody was shot')


def a_request_ends_with_its_program(lab):
    with Asker(lab, 'b', ID['a'], life(lab, 'a')):
        eventually(lambda: pending(lab, 'b'), 'the request is pending')
    eventually(lambda: not pending(lab, 'b'), 'the request is gone')
    time.sleep(2)
    expect(powered(lab) == 'ab', 'nobody was shot')


def a_person_can_confirm(lab):
    of_b = life(lab, 'b')
    refused = lab.run('a', 'cfs-fence', 'confirm', 'b', input='b\n', check=False)
    expect_safe(refused.returncode != 0, 'a member is confirmed dead')
    expect(refused.returncode == 1 and 'alive' in refused.stderr, f'a member is not confirmed dead: {refused.stderr}')
    lab.verb('bmc', 'b', 'hung')
    lab.verb('crash', 'b')
    with Asker(lab, 'a', ID['b'], of_b) as asker:
        eventually(lambda: any(each['failed_attempts'] > 0 for each in pending(lab, 'a')), 'the device fails', 300)
        expect_safe(not asker.death(of_b), 'not dead by failure')
        wrong = lab.run('a', 'cfs-fence', 'confirm', 'b', input='yes\n', check=False)
        expect_safe(wrong.returncode != 0 and not asker.death(of_b), 'only the typed name confirms')
        done = lab.run('a', 'cfs-fence', 'confirm', 'b', input='b\n', check=False)
        expect(done.returncode == 0, done.stderr)
        eventually(lambda: asker.death(of_b), 'the confirmation is an answer')
    mend(lab)
    eventually(lambda: 'confirmed' in lab.output('b', 'cfs-fence', 'history'), 'b knows of it too')


def a_daemon_that_restarts_forgets_nothing(lab):
    """Also: the programs go on with the new one."""
    known = lab.output('a', 'cfs-fence', 'history', '--json')
    of_a = life(lab, 'a')
    lab.run('a', 'sh', '-c', 'kill -9 $(pidof cfs-fenced); sleep 0.2; setsid cfs-fenced >/dev/null 2>&1 </dev/null &')
    eventually(lambda: '"in_group":true' in lab.run('a', 'cfs-fence', 'status', '--json', check=False).stdout, 'it is back')
    expect(life(lab, 'a') == of_a, 'a daemon that restarts does not make a new life')
    expect(lab.output('a', 'cfs-fence', 'history', '--json') == known, 'the history is on the disk')


def debians_agent_works_unchanged(lab):
    path = os.path.join(lab.directory, 'a/etc/cfs/fencing.toml')
    with open(path, encoding='utf-8') as file:
        text = file.read()
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text.replace('"fence_cfs_ipmi"', '"fence_ipmilan"').replace('lanplus = true', 'lanplus = true\ncipher = 3'))
    lab.verb('power', 'a', 'off')
    lab.verb('power', 'a', 'on')
    lab.wait_healthy()
    done = lab.run('a', 'cfs-fence', 'off', 'b', check=False)
    expect(done.returncode == 0 and powered(lab) == 'a', f'fence_ipmilan: {done.stderr}')
    mend(lab)


def a_wrong_file_is_refused_by_line(lab):
    with open(os.path.join(lab.directory, 'a/etc/wrong.toml'), 'w', encoding='utf-8') as file:
        file.write('[node.a]\nlevels = [["bmc-x"]]\n')
    done = lab.run('a', 'cfs-fenced', '--check', '/etc/wrong.toml', check=False)
    expect(done.returncode == 78 and '/etc/wrong.toml:2: ' in done.stderr, f'{done.returncode} {done.stderr}')
    done = lab.run('a', 'cfs-fenced', '--check', '/etc/cfs/fencing.toml', check=False)
    expect(done.returncode == 0, f'{done.returncode} {done.stderr}')


CHECKS = [a_dead_node_is_fenced_soon, of_a_split_pair_exactly_one_lives, a_withdrawal_in_time_saves,
          a_request_ends_with_its_program, a_person_can_confirm, a_wrong_file_is_refused_by_line,
          debians_agent_works_unchanged, a_daemon_that_restarts_forgets_nothing]
