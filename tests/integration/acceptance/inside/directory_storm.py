#!/usr/bin/python3
"""Creates, renames, links and deletes in one directory for some seconds; errors that the other node's work explains are
counted, others end it."""
import errno
import os
import random
import sys
import time

EXPECTED = {errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.EISDIR, errno.ENOTDIR}


def act(chooser, directory):
    one = os.path.join(directory, f'name-{chooser.randrange(120)}')
    two = os.path.join(directory, f'name-{chooser.randrange(120)}')
    kind = chooser.randrange(10)
    if kind < 3:
        with open(one, 'xb') as file:
            file.write(chooser.randbytes(chooser.randrange(9000)))
    elif kind < 6:
        os.rename(one, two)
    elif kind < 7:
        link(one, two)
    elif kind < 8:
        os.mkdir(one)
    elif kind < 9:
        os.unlink(one)
    else:
        os.rmdir(one)


def link(one, two):
    try:
        os.link(one, two)
    except PermissionError:     # what link says of a directory
        raise OSError(errno.EISDIR, 'a directory') from None


def main():
    directory, seconds, seed = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    chooser = random.Random(seed)
    done, refused = 0, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            act(chooser, directory)
            done += 1
        except OSError as error:
            if error.errno not in EXPECTED:
                raise
            refused += 1
    print(f'{done} done, {refused} refused')


if __name__ == '__main__':
    main()
