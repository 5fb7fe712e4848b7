"""Both nodes append 20,000 numbered lines to one file with O_APPEND: 40,000 lines, none torn, none lost."""
from .common import NODES, expect_safe, finish, fresh_directory, start_inside


def check(lab, options):
    path = fresh_directory(lab, 'appends') + '/log'
    writers = [(node, start_inside(lab, node, 'appender.py', path, node, options.lines)) for node in NODES]
    for node, writer in writers:
        finish(writer, f'the appender on {node}', timeout=1200)
    views = [lab.output(node, 'cat', path) for node in NODES]
    expect_safe(views[0] == views[1], 'the nodes read different files')
    next_number = dict.fromkeys(NODES, 0)
    for line in views[0].splitlines():
        words = line.split(' ')
        expect_safe(len(words) == 4 and words[0] in next_number, f'torn line: {line[:100]}')
        node, number = words[0], int(words[1])
        expect_safe(number == next_number[node], f'{node}: line {number} where {next_number[node]} was due')
        expect_safe(words[2] == 'x' * (number % 61) and words[3] == 'end', f'torn line: {line[:100]}')
        next_number[node] += 1
    expect_safe(all(count == options.lines for count in next_number.values()), f'lines found: {next_number}')
    return f'{sum(next_number.values())} lines, none torn, none lost, each node\'s in its order'
