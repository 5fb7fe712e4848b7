#!/usr/bin/python3
"""A mixed load that knows what it was promised: appends fsynced lines, makes fsynced files, renames them, overwrites parts
of a larger file. Prints one line for each thing that was durable when the call returned. Runs until its power is cut or
its standard input ends."""
import errno
import os
import random
import select
import sys
import time


def durable(*words):
    print(*words, f'{time.clock_gettime(time.CLOCK_BOOTTIME):.6f}', flush=True)


def append(log, name, number):
    line = f'{name} {number:08d} {"x" * (number % 90)} end\n'.encode()
    written = os.write(log, line)
    if written < len(line):     # a full disk takes what fits
        durable('torn', number, written)
        raise OSError(errno.ENOSPC, 'short write')
    os.fsync(log)
    durable('line', number)


def make_file(directory, number, chooser):
    path = os.path.join(directory, f'new-{number:06d}')
    with open(path, 'xb', buffering=0) as file:
        file.write(f'{number} '.encode() + b'y' * chooser.randrange(12000))
        os.fsync(file.fileno())
    durable('file', number)
    if number % 3 == 0:
        kept = os.path.join(directory, f'kept-{number:06d}')
        os.rename(path, kept)
        folder = os.open(directory, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        durable('kept', number)


def overwrite(big, number):
    slot = number % 64
    os.pwrite(big, number.to_bytes(8, 'little') * 1024, slot * 8192)
    os.fdatasync(big)
    durable('slot', slot, number)


def main():
    directory, name, first = sys.argv[1], sys.argv[2], int(sys.argv[3])
    chooser = random.Random(first)
    os.makedirs(directory, exist_ok=True)
    log = os.open(os.path.join(os.path.dirname(directory), 'shared-log'), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    big = os.open(os.path.join(directory, 'big'), os.O_RDWR | os.O_CREAT, 0o644)
    number = first
    while not select.select([sys.stdin], [], [], 0)[0]:
        number += 1
        try:
            append(log, name, number)
            make_file(directory, number, chooser)
            overwrite(big, number)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            time.sleep(0.1)  # nothing was promised


if __name__ == '__main__':
    main()
