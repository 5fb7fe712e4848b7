"""Making labs and ending them, also after parts of them died. Each check gets a directory of its own."""
import json
import os
import signal
import subprocess
import time

from demokit.lab_client import LAB, LabClient
from expectations import lab_verb, leftovers, processes_of
from verdicts import eventually, expect

STAGE = ('--stage', 'corosync')


def host_state():
    links = subprocess.run(['ip', '-o', 'link'], capture_output=True, text=True, check=True).stdout
    names = sorted(line.split(': ')[1] for line in links.splitlines())
    with open('/proc/self/mountinfo', encoding='utf-8', errors='surrogateescape') as mounts:
        return names, sorted(line.split()[4] for line in mounts)


def ends_clean(directory):
    done = lab_verb(directory, 'down')
    expect(done.returncode == 0, f'down: {done.stderr}')
    left = leftovers(directory)
    expect(not left, f'left behind: {left}')


def up_and_down_are_clean(directory):
    before = host_state()
    lab = LabClient(directory)
    started = time.monotonic()
    lab.up(*STAGE)
    took = time.monotonic() - started
    expect(host_state() == before, 'a lab shows on the host while it is up')
    ends_clean(directory)
    expect(host_state() == before, 'a lab that is down shows on the host')
    ends_clean(directory)
    return f'up took {took:.1f} s'


def all_on(lab):
    return all(lab.verb('power', node, 'status') == 'on\n' for node in lab.status()['nodes'])


def two_labs_do_not_meet(directory):
    one, two = LabClient(directory), LabClient(directory + '-second')
    try:
        one.up(*STAGE)
        two.up(*STAGE, '--nodes', '3')
        one.verb('power', 'a', 'off')
        expect(all_on(two), 'switching off in one lab took the power of the other')
        eventually(lambda: two.status()['healthy'], 'switching off in one lab harmed the other')
        expect(one.verb('power', 'b', 'status') == 'on\n', 'b of the first lab is on')
        let_the_world_die(one, two)
        one.down()
        expect(all_on(two), 'ending one lab took the power of the other')
        eventually(lambda: two.status()['healthy'], 'ending one lab harmed the other')
        expect(len(two.status()['nodes']) == 3, 'three nodes')
    finally:
        ends_clean(directory)
        ends_clean(directory + '-second')


def let_the_world_die(lab, other):
    """And the kernel gives the numbers of its namespaces to those of another lab."""
    os.kill(find(lab, 'world'), signal.SIGKILL)
    eventually(lambda: not processes_of(lab.directory), 'with the world everything ends')
    records = [os.path.join(each.directory, 'world.json') for each in (lab, other)]
    with open(records[0], encoding='utf-8') as of_one, open(records[1], encoding='utf-8') as of_other:
        record = {**json.load(of_one), 'namespaces': json.load(of_other)['namespaces']}
    with open(records[0], 'w', encoding='utf-8') as file:
        json.dump(record, file)


WRITE = 'printf data | dd of=/run/lab/disk bs=4096 seek=100 conv=sync,fsync status=none'
READ_IT = 'dd if=/run/lab/disk bs=4096 skip=100 count=1 iflag=direct status=none | head -c 4'


def disks_fail_when_told(directory):
    lab = LabClient(directory)
    lab.up(*STAGE, '--disks', 'loop')
    device = os.path.basename(os.readlink(os.path.join(directory, 'a/disk')))
    lab.run('a', 'sh', '-c', WRITE)
    lab.verb('disk', 'a', 'fail')
    expect(lab.output('a', 'sh', '-c', READ_IT) == '', 'a broken disk still reads')
    expect(lab.run('a', 'sh', '-c', WRITE, check=False).returncode != 0, 'a broken disk still writes')
    expect(lab.run('b', 'sh', '-c', WRITE, check=False).returncode == 0, 'the other disk broke too')
    lab.verb('disk', 'a', 'ok')
    expect(lab.output('a', 'sh', '-c', READ_IT) == 'data', 'what a broken disk held is gone')
    lab.verb('crash', 'a')
    eventually(lambda: not os.path.exists(f'/sys/block/{device}/loop/backing_file'), 'the loop device of a dead node goes away')
    ends_clean(directory)


def killed_parts_are_cleared(directory):
    for victim in ('world', 'init', 'corosync', 'ipmi_sim'):
        lab = LabClient(directory)
        lab.up(*STAGE)
        pid = find(lab, victim)
        os.kill(pid, signal.SIGKILL)
        if victim == 'init':
            eventually(lambda: lab.verb('power', 'a', 'status') == 'off\n', 'a node whose init died has no power')
        elif victim != 'world':
            eventually(lambda: not lab.status()['healthy'], f'status must tell that {victim} died')
        else:
            eventually(lambda: lab_verb(directory, 'status').returncode != 0, 'a dead world has no status')
            eventually(lambda: not processes_of(directory), 'with the world everything ends')
        ends_clean(directory)


def find(lab, victim):
    if victim == 'world':
        with open(os.path.join(lab.directory, 'world.json'), encoding='utf-8') as record:
            return json.load(record)['pid']
    for pid in processes_of(lab.directory):
        if is_init_of_a(pid) if victim == 'init' else name_of(pid) == victim:
            return pid
    raise AssertionError(f'no {victim} in the lab')


def is_init_of_a(pid):
    with open(f'/proc/{pid}/status', encoding='ascii', errors='replace') as status:
        pids = next(line.split()[1:] for line in status if line.startswith('NSpid:'))
    with open(f'/proc/{pid}/cmdline', 'rb') as line:
        return pids[-1] == '1' and line.read().endswith(b'\0a\0')


def name_of(pid):
    with open(f'/proc/{pid}/comm', encoding='ascii', errors='replace') as name:
        return name.read().strip()


def interrupted_up_is_cleared(directory):
    """SIGKILL at any moment of up; then down, or simply the next up, clears it."""
    for delay in (0.05, 0.2, 0.4, 0.8, 1.2):
        process = subprocess.Popen([LAB, 'up', '--dir', directory, *STAGE], stderr=subprocess.DEVNULL)
        time.sleep(delay)
        process.kill()
        process.wait()
        ends_clean(directory)
    process = subprocess.Popen([LAB, 'up', '--dir', directory, *STAGE], stderr=subprocess.DEVNULL)
    eventually(lambda: os.path.exists(f'{directory}/world.sock'), 'the world of the lab is there', pause=0.01)
    expect(process.poll() is None, 'up was done before it could be killed')
    process.kill()
    process.wait()
    LabClient(directory).up(*STAGE)
    ends_clean(directory)


CHECKS = [up_and_down_are_clean, disks_fail_when_told, two_labs_do_not_meet, killed_parts_are_cleared, interrupted_up_is_cleared]
