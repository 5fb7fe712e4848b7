"""2,000 files created on a, each read on b right after close: none stale, none missing; the other way round as well, at
the same time."""
import subprocess

from .common import NODES, expect, expect_safe, finish, fresh_directory, other, start_inside


def check(lab, options):
    path = fresh_directory(lab, 'cross-read')
    pairs = []
    for node in NODES:
        directory = f'{path}/{node}'
        lab.run(node, 'mkdir', directory)
        creator = start_inside(lab, node, 'creator.py', directory, options.files, stdout=subprocess.PIPE)
        reader = start_inside(lab, other(node), 'reader.py', directory, stdin=creator.stdout, stdout=subprocess.PIPE)
        creator.stdout.close()
        creator.stdout = None
        pairs.append((node, creator, reader))
    said = []
    for node, creator, reader in pairs:
        finish(creator, f'the creator on {node}')
        found = finish(reader, f'the reader on {other(node)}')
        last = found.splitlines()[-1]
        expect_safe(last.endswith('missing 0 stale 0'), f'{node} → {other(node)}: {found[-1500:]}')
        expect(int(last.split()[1]) == options.files + options.files // 10, f'{node} → {other(node)}: {last}')
        said.append(f'{node} → {other(node)}: {last}')
    return '; '.join(said)
