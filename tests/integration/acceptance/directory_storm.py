"""Both nodes create, rename, link and delete in one directory for a minute: the two nodes agree afterwards."""
import subprocess

from .common import NODES, expect, finish, fresh_directory, same_listing, start_inside


def check(lab, options):
    path = fresh_directory(lab, 'storm')
    storms = [(node, start_inside(lab, node, 'directory_storm.py', path, options.seconds, seed, stdout=subprocess.PIPE))
              for seed, node in enumerate(NODES)]
    said = [f'{node}: {finish(storm, f"the storm on {node}", timeout=options.seconds + 600).strip()}'
            for node, storm in storms]
    expect(all(int(text.split()[1]) > 0 for text in said), f'nothing was done: {said}')
    return f'{"; ".join(said)}; both nodes agree on {same_listing(lab, path)} names'
