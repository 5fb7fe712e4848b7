"""The BMC of a cannot be believed. Stuck: a is cut off and nobody knows whether it lives; b acknowledges no write and is
granted no lock for two minutes and `status` says what it waits for and since when; then somebody pulls the plug of a and says
so (`cfs-fence confirm a`), and b goes on. Once more: the BMC is well again after a while, and b goes on by itself."""
import json
import subprocess
import time

from .common import boot_seconds, expect, expect_safe, fresh_directory
from .power_cuts import Load, check_promises, wait_until_writing

DETECTION = 6   # seconds: by then b has noticed that a is lost


def hold_a_lock(lab, path):
    holder = lab.popen('a', 'flock', path, 'sh', '-c', 'echo held; sleep 1000', stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    expect(holder.stdout.readline() == 'held\n', 'a cannot lock a file')
    return holder


def ask_for_locks(lab, directory):
    """What b has to be granted a lock for: the file that a had locked, a name in a directory of a, the end of a's log."""
    return {what: lab.popen('b', *words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for what, words in (
        ('flock', ('flock', f'{directory}/locked', 'true')),
        ('create', ('touch', f'{directory}/a/of-b')),
        ('append', ('sh', '-c', f'echo x >> {directory}/a/log-of-a')))}


def expect_nothing(load, asked, seconds):
    began, until = boot_seconds(), time.monotonic() + seconds
    while time.monotonic() < until:
        expect_safe(not load.promises or load.promises[-1][0] < began, 'b was promised a write although a is not proven dead')
        ended = {what: process.returncode for what, process in asked.items() if process.poll() is not None}
        expect_safe(0 not in ended.values(), f'b was granted a lock although a is not proven dead: {ended}')
        expect(not ended, f'b does not wait for its locks: {ended}')
        time.sleep(0.1)


def expect_explained(lab, seconds):
    """What status says to the one who looks; the words of both programs."""
    fencing = lab.output('b', 'cfs-fence', 'status', timeout=60)
    said = fencing.partition('pending fences\n')[2]
    expect('node 1: ' in said and ' on b: ' in said, f'cfs-fence status does not say what b waits for: {fencing}')
    fence = json.loads(lab.output('b', 'cfs-fence', 'status', '--json', timeout=60))['fencing']['fences'][0]
    expect(fence['waited_ms'] >= (seconds - 2) * 1000, f'cfs-fence status: not since when b waits: {fence}')
    device = lab.output('b', 'blockrepadm', 'status', 'r0', timeout=60)
    expect('suspended: ' in device, f'blockrepadm status does not say that r0 waits: {device}')
    because = next(line for line in device.splitlines() if 'suspended: ' in line)
    expect('waiting until it is fenced, for ' in because, f'blockrepadm status: not what for and since when: {because}')
    return f'{" ".join(said.split())} | {because.strip()}'


def expect_all_granted(asked, what):
    for name, process in asked.items():
        try:
            _, errors = process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            expect(False, f'{what}: {name} on b still waits')
        expect(process.returncode == 0, f'{what}: {name} on b: exit status {process.returncode}: {errors}')


def lose_a(lab, directory, first):
    """Loads on both and a lock of a; then a is cut off with nobody to shoot it. b's load, what b asks for, all promises."""
    lab.run('a', 'sh', '-c', f'mkdir -p {directory}/a && touch {directory}/locked {directory}/a/log-of-a')
    lab.run('b', 'ls', '-l', f'{directory}/a')
    loads = {node: Load(lab, node, directory, first) for node in 'ab'}
    for load in loads.values():
        wait_until_writing(load, 20)
    holder = hold_a_lock(lab, f'{directory}/locked')
    lab.run('a', 'sh', '-c', f'echo of a >> {directory}/a/log-of-a; touch {directory}/a/of-a')
    lab.verb('bmc', 'b', 'fail')    # a would shoot b at once: b is the one who must live
    lab.verb('bmc', 'a', 'stuck')
    lab.verb('link', 'all', 'cut')
    return loads, holder


def one_death(lab, directory, first, seconds, promises, let_go_on):
    loads, holder = lose_a(lab, directory, first)
    asked = {}
    try:
        time.sleep(DETECTION)
        asked = ask_for_locks(lab, directory)
        expect_nothing(loads['b'], asked, seconds)
        expect(lab.verb('power', 'a', 'status') == 'on\n', 'a is off: nothing was seen')
        explained = expect_explained(lab, seconds)
        said = let_go_on(lab, loads['b'], asked)
        expect_all_granted(asked, said)
        loads['b'].stop(expect_success=True)
    finally:
        for load in loads.values():
            load.give_up()
        for process in [holder] + list(asked.values()):
            process.kill()
            process.wait()
    promises += [(node, text) for node, load in loads.items() for _, text in load.promises]
    check_promises(lab, 'b', directory, promises)
    lab.verb('link', 'all', 'heal')
    for node in 'ab':
        lab.verb('bmc', node, 'ok')
    lab.verb('power', 'a', 'on')
    lab.wait_healthy()
    check_promises(lab, 'a', directory, promises)
    return said, explained


def by_confirmation(lab, load, asked):
    """The BMC dies with the machine when somebody pulls the plug, so nothing but a person can tell."""
    lab.verb('bmc', 'a', 'hung')
    lab.verb('crash', 'a')
    expect_nothing(load, asked, 3)
    started = time.monotonic()
    lab.run('b', 'sh', '-c', 'echo a | cfs-fence confirm a')
    wait_until_writing(load, len(load.promises) + 20)
    return f'went on {time.monotonic() - started:.1f} s after confirm'


def by_itself(lab, load, asked):
    started = time.monotonic()
    lab.verb('bmc', 'a', 'ok')
    wait_until_writing(load, len(load.promises) + 20)
    return f'went on by itself {time.monotonic() - started:.1f} s after the BMC was well'


def check(lab, options):
    directory, promises = fresh_directory(lab, 'unproven-death'), []
    # Quickly, the second is left to no_proof, which has the same end.
    waits = [(12, by_confirmation)] if options.quick else [(120, by_confirmation), (20, by_itself)]
    said = []
    for number, (seconds, let_go_on) in enumerate(waits, 1):
        went_on, explained = one_death(lab, directory, number * 100000, seconds, promises, let_go_on)
        print(f'   b was given nothing for {seconds} s and said: {explained}', flush=True)
        said.append(f'{seconds} s of silence, then b {went_on}')
    return f'{"; ".join(said)}; {len(promises)} promises kept'
