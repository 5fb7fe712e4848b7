"""Both nodes mounted with -o readmostly: what one makes or replaces the other reads; both overwrite and read the same pages
in place, which neither hangs nor loses a byte."""
import subprocess

from . import cross_read
from .common import NODES, expect_safe, finish, fresh_directory, mount_both, start_inside, unmount_both

PAGE, PAGES, WRITERS = 4096, 4, 2


def overwrite(lab, seconds):
    """Two writers on each node, each with its own field in all pages."""
    path = fresh_directory(lab, 'readmostly') + '/pages'
    lab.run('a', 'sh', '-c', f'head -c {PAGE * PAGES} /dev/zero > {path}')
    writers = [(node, number * len(NODES) + place) for place, node in enumerate(NODES) for number in range(WRITERS)]
    running = [(field, start_inside(lab, node, 'overwriter.py', path, field, seconds, stdout=subprocess.PIPE))
               for node, field in writers]
    last, gone = {}, 0
    for field, process in running:
        numbers = [int(word) for word in finish(process, f'writer {field}', seconds + 600).split()]
        gone += numbers[0]
        last[field] = numbers[1:]
    views = {node: lab.run(node, 'od', '-An', '-v', '-tu8', '-w4096', path).stdout.split('\n')[:PAGES] for node in NODES}
    expect_safe(views['a'] == views['b'], 'the nodes read different bytes')
    for page, line in enumerate(views['a']):
        words = line.split()
        for field, numbers in last.items():
            expect_safe(int(words[field]) == numbers[page], f'page {page}: writer {field} wrote {numbers[page]}, there is {words[field]}')
    return sum(map(sum, last.values())), gone


def check(lab, options):
    unmount_both(lab)
    mount_both(lab, '-o', 'readmostly')
    try:
        said = cross_read.check(lab, options)
        writes, gone = overwrite(lab, max(5, options.files // 100))
        return f'{said}; {writes} overwrites, none lost, a reader beside a waiting writer saw old pages {gone} times'
    finally:
        unmount_both(lab)
        mount_both(lab)
