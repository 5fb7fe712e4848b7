"""What one node sees of the other's work, and what both do to the same thing at once."""
import contextlib
import statistics
import subprocess

from . import places, table

common = places.common


def program(name):
    return f'{places.INSIDE}/{name}'


def start(lab, node, name, *words):
    return lab.popen(node, '/usr/bin/python3', program(name), *words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                     stderr=subprocess.PIPE)


def both(lab, name, *words):
    """Runs a program of inside/ on both nodes, from the same moment on; what each printed, as words."""
    running = {node: start(lab, node, name, node, *words) for node in common.NODES}
    for process in running.values():
        process.stdout.readline()
    for process in running.values():
        with contextlib.suppress(BrokenPipeError):  # it has ended already: finish() says of what
            process.stdin.write('go\n')
            process.stdin.flush()
    return {node: common.finish(process, f'{name} on {node}').split() for node, process in running.items()}


def other_node(lab, options):
    """First use on b of files that a has just made."""
    first, again, read, back = [], [], [], []
    for number in range(options.rounds):
        folder = common.fresh_directory(lab, f'other-{number}')
        arguments = ('files', folder, options.files, options.bytes)
        places.run_probe_in(lab, 'a', *arguments, 'create')
        seconds = places.run_probe_in(lab, 'b', *arguments, 'stat-first', 'stat-again', 'open_read')
        for into, step in ((first, 'stat-first'), (again, 'stat-again'), (read, 'open_read')):
            into.append(options.files / seconds[step])
        back.append(options.files / places.run_probe_in(lab, 'a', *arguments, 'stat-back')['stat-back'])
        lab.run('a', 'rm', '-r', folder)
    table.figure('first stat on b of files just made on a', f'{max(first):,.0f} /s', '>= 5,000')
    table.figure('  again', f'{max(again):,.0f} /s')
    table.figure('  then open + read + close', f'{max(read):,.0f} /s')
    table.figure('  then stat on a', f'{max(back):,.0f} /s')


def seen_after(lab, options):
    path = common.fresh_directory(lab, 'seen') + '/value'
    lab.run('a', 'sh', '-c', f'head -c 4096 /dev/zero > {path}')
    reader = start(lab, 'b', 'watch.py', path)
    reader.stdout.readline()
    lab.run('a', '/usr/bin/python3', program('stamp.py'), path, options.writes)
    taken = sorted(float(word) for word in common.finish(reader, 'the reader').split())
    common.expect(taken, 'the reader has seen no change at all')
    table.figure('a write on a is seen on b, median', f'{statistics.median(taken) * 1e3:.2f} ms', '< 2 ms')
    table.figure('  slowest of a hundred', f'{taken[len(taken) * 99 // 100] * 1e3:.2f} ms')


def appends(lab, options):
    path = common.fresh_directory(lab, 'log') + '/log'
    said = both(lab, 'append.py', path, options.lines)
    seconds = max(float(words[1]) for words in said.values()) - min(float(words[0]) for words in said.values())
    seen = dict.fromkeys(common.NODES, 0)
    for line in lab.output('b', 'cat', path).splitlines():
        node, number, _ = line.split(' ', 2)
        common.expect(int(number) == seen[node], f'line {number} of {node} where {seen[node]} was due')
        seen[node] += 1
    common.expect(all(count == options.lines for count in seen.values()), f'lines found: {seen}')
    table.figure('both append to one log, in order', f'{2 * options.lines / seconds:,.0f} lines/s', '>= 10,000')


def creates(lab, options):
    folder = common.fresh_directory(lab, 'together')
    said = both(lab, 'create.py', folder, options.seconds)
    count = sum(int(words[0]) for words in said.values())
    common.expect(common.same_listing(lab, folder) >= count, 'names are missing')
    table.figure('both create in one directory', f'{count / options.seconds:,.0f} files/s', '>= 1,000')
    table.figure('  a and b', ' '.join(words[0] for words in said.values()))


def measure(lab, options):
    table.heading('cross_node')
    for part in (seen_after, appends, creates, other_node):
        try:
            part(lab, options)
        except common.Broken as broken:  # not ours: the acceptance checks look for that
            table.figure(f'{part.__name__}: {broken}'[:100], 'wrong')
