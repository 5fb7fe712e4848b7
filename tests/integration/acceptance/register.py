"""One number in a shared file that both nodes read and write, and the judge of what they saw: the file must behave as if
every read and write happened at one moment between its begin and its end, whatever befell the nodes meanwhile."""
import bisect
import math
import subprocess
import threading

from verdicts import Lost, expect

from .common import start_inside


class Operation:
    def __init__(self, value, begin, end, node):
        self.value, self.begin, self.end, self.node = value, begin, end, node

    def __str__(self):
        return f'{self.value} by {self.node} from {self.begin:.6f} to {self.end:.6f}'


class Client:
    """Reads and writes in one node, from now until stop()."""

    def __init__(self, lab, node, path, first):
        self.node, self.reads, self.writes = node, [], []
        self.process = start_inside(lab, node, 'register.py', path, first, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            words = line.split()
            if not line.endswith('\n'):
                continue
            if words[0] == 'w':     # one that never ends may have happened, or may happen yet
                self.writes.append(Operation(int(words[1]), float(words[2]), math.inf, self.node))
            elif words[0] == 'W':
                self.writes[-1].end = float(words[2])
            else:
                self.reads.append(Operation(int(words[1]), float(words[2]), float(words[3]), self.node))

    def tell_to_stop(self):
        if self.process.stdin is not None:
            self.process.stdin.close()
            self.process.stdin = None

    def stop(self):
        self.tell_to_stop()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join(timeout=30)


class Register:
    """The clients of both nodes; values of one are even, of the other odd, and none is written twice."""

    def __init__(self, lab, path, nodes, first=0):
        lab.run(nodes[0], 'sh', '-c', f'head -c 8 /dev/zero > {path}.new && sync {path}.new && mv {path}.new {path}')
        self.clients = [Client(lab, node, path, first + index) for index, node in enumerate(nodes)]

    def judge(self):
        """How many reads and writes there were; Lost if they contradict each other."""
        writes = [each for client in self.clients for each in client.writes]
        reads = [each for client in self.clients for each in client.reads]
        check_history(writes, reads)
        return len(writes) + len(reads)


def check_history(writes, reads):
    """What every atomic register keeps; writes have different values, and 0 was there before them."""
    by_value = {0: Operation(0, -math.inf, -math.inf, 'nobody')}
    by_value.update({each.value: each for each in writes})
    for read in reads:
        if read.value not in by_value:
            raise Lost(f'read a value that nobody wrote: {read}')
        if by_value[read.value].begin > read.end:
            raise Lost(f'read {read} before it was written: {by_value[read.value]}')
    # What a read or a write that has ended shows must not be replaced by something that was over before that value's write began.
    shows = sorted([(each.end, each) for each in writes + reads if each.end < math.inf], key=lambda pair: pair[0])
    ends = [end for end, _ in shows]
    newest = []     # of everything that ended until then: the latest begin of a write that it proves to have happened
    for _, each in shows:
        best = max(newest[-1] if newest else by_value[0], by_value[each.value], key=lambda one: one.begin)
        newest.append(best)
    for read in reads:
        before = bisect.bisect_left(ends, read.begin)
        write = by_value[read.value]
        if before and newest[before - 1].begin > write.end:
            raise Lost(f'stale: read {read}, although {newest[before - 1]} had been written after {write} and was there')


def check_the_judge():
    """A judge that lets everything pass proves nothing."""
    first, second = Operation(1, 1, 2, 'a'), Operation(2, 3, 4, 'b')
    pending = Operation(3, 3, math.inf, 'a')
    for right in ([Operation(1, 1.5, 3.5, 'b')], [Operation(2, 3.5, 5, 'a')], [Operation(0, 1.1, 1.2, 'b')],
                  [Operation(3, 9, 10, 'b')], [Operation(3, 5, 6, 'b'), Operation(2, 7, 8, 'b')]):
        check_history([first, second, pending], right)
    for wrong in ([Operation(1, 5, 6, 'a')], [Operation(0, 2.5, 3, 'a')], [Operation(2, 1, 2, 'a')], [Operation(9, 5, 6, 'a')],
                  [Operation(2, 3.1, 3.2, 'a'), Operation(1, 3.3, 3.4, 'b')]):
        try:
            check_history([first, second, pending], wrong)
        except Lost:
            continue
        expect(False, f'the judge of histories believes {wrong[-1]}')
