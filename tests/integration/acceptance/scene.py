"""Both nodes at work: on each a load that is promised durability, and a client of a shared number whose history is judged."""
import time

from .common import LabError, NODES, boot_seconds, check_filesystem, compare_replicas, expect, mount_both, unmount_both
from .power_cuts import Load, check_promises, wait_until_writing
from .register import Register

def kill_line(daemon, name):
    """Shell: a signal by the daemon's name, and never to the shell that does it."""
    return (f'for each in /proc/[0-9]*; do read -r name < $each/comm && [ "$name" = {daemon} ] && kill -{name} ${{each#/proc/}}; '
            'done 2> /dev/null; true')


def start_line(daemon):
    """Shell: starts it as an operator would, with the log where it was."""
    return f'{{ setsid {daemon} >> /run/lab/log/{daemon}.log 2>&1 < /dev/null & }} > /dev/null 2>&1'


def signal(lab, node, daemon, name):
    lab.run(node, 'sh', '-c', kill_line(daemon, name), check=False, timeout=120)


def start_daemon(lab, node, daemon):
    lab.run(node, 'sh', '-c', start_line(daemon))


class Scene:
    """`promises` is shared by the scenes of one directory and holds what nobody may ever lose."""

    def __init__(self, lab, directory, first, promises):
        self.lab, self.directory, self.promises = lab, directory, promises
        self.loads = {node: Load(lab, node, directory, first) for node in NODES}
        self.register, self.ended, self.operations = None, False, 0
        try:
            self.register = Register(lab, f'{directory}/register', NODES)
            for load in self.loads.values():
                wait_until_writing(load, 20)
        except BaseException:
            self.end()
            raise
        self.began = boot_seconds()

    def wait_for_progress(self, nodes, seconds=300, count=20):
        """Each of the nodes is promised more than it has been."""
        goals = {node: len(self.loads[node].promises) + count for node in nodes}
        until = time.monotonic() + seconds
        for node, goal in goals.items():
            while len(self.loads[node].promises) < goal:
                expect(self.loads[node].process.poll() is None, f'the load on {node} has ended')
                expect(time.monotonic() < until, f'{node} has not written on within {seconds} s')
                time.sleep(0.02)

    def wait_for_any_progress(self, seconds=300, count=20):
        """Who writes on, as soon as somebody does."""
        goals = {node: len(load.promises) + count for node, load in self.loads.items()}
        until = time.monotonic() + seconds
        while True:
            going = [node for node, load in self.loads.items() if len(load.promises) >= goals[node]]
            if going:
                return going
            expect(time.monotonic() < until, f'nobody has written on within {seconds} s')
            time.sleep(0.02)

    def stall(self, node):
        """The longest time between two promises since the scene began."""
        times = [self.began] + [when for when, _ in self.loads[node].promises if when > self.began] + [boot_seconds()]
        return max(later - earlier for earlier, later in zip(times, times[1:]))

    def end(self, must_succeed=()):
        """Ends all that still runs, and keeps what was promised. A load that must succeed was never told of an error."""
        if self.ended:
            return
        self.ended = True
        clients = self.register.clients if self.register is not None else []
        for each in [*clients, *self.loads.values()]:
            each.tell_to_stop()
        try:
            for client in clients:
                client.stop()
            for node in must_succeed:
                self.loads[node].stop(expect_success=True)
        finally:
            for load in self.loads.values():
                load.give_up()
            self.promises += [(node, text) for node, load in self.loads.items() for _, text in load.promises]
            if self.register is not None:   # whatever else went wrong: the history is in order
                self.operations = self.register.judge()

    def judge(self):
        """What was promised is there; how many operations the history has, which was judged when the scene ended."""
        look_for_promises(self.lab, self.directory, self.promises)
        return self.operations


def look_for_promises(lab, directory, promises):
    for node in NODES:
        if promises:
            check_promises(lab, node, directory, promises)


def look_for_all_promises(lab):
    """After a check that came to nothing: what its loads were promised is there once all is mended, and the replicas are equal."""
    begun, Load.begun = Load.begun, []
    for load in begun:
        load.give_up()
    heal(lab)
    for directory in {load.directory for load in begun}:
        loads = [load for load in begun if load.directory == directory]
        look_for_promises(lab, directory, [(load.node, text) for load in loads for _, text in load.promises])
    look_inside(lab)


def look_inside(lab):
    """fsck clean and the replicas equal, with the filesystem unmounted for a moment."""
    unmount_both(lab)
    check_filesystem(lab)
    compare_replicas(lab)
    mount_both(lab)


def heal(lab, seconds=900, patience=25):
    """What is broken is mended as a person would: cables and BMCs, then the power of whoever has none or lost a daemon, and
    after a while, longer each time, of whoever is not well."""
    lab.verb('link', 'all', 'heal')
    for node in NODES:
        lab.verb('bmc', node, 'ok')
    began = touched = time.monotonic()
    while True:
        problems = problems_of(lab)
        if not problems:
            return
        expect(time.monotonic() < began + seconds, f'not healthy {seconds} s after all was mended: {problems}')
        ill = [node for node in NODES if any(needs_power(node, problem) for problem in problems)]
        if not ill and time.monotonic() > touched + patience:
            ill = [node for node in NODES if any(problem.startswith(f'{node}: ') for problem in problems)]
            patience *= 2
        for node in ill:
            power_cycle(lab, node)
            touched = time.monotonic()
        time.sleep(0.5)


def problems_of(lab):
    try:
        return lab.status()['problems']
    except LabError as error:  # a machine that is very busy
        return [str(error)]


def needs_power(node, problem):
    """Nothing comes back by itself where there is no power, or a daemon is gone."""
    return problem.startswith(f'{node}: ') and (problem.endswith('no power') or 'does not run' in problem)


def power_cycle(lab, node):
    """A machine is off for longer than the others need to notice: else they may shoot the one that is already back."""
    lab.verb('crash', node)
    time.sleep(4)
    lab.verb('power', node, 'on', check=False)
