#!/usr/bin/python3
"""Reads and writes one number in a shared file, at random, and tells when each began and ended: what a checker of histories
needs. `register.py FILE NODE`; runs until its standard input ends or a call fails."""
import os
import random
import select
import sys
import time


def now():
    return f'{time.clock_gettime(time.CLOCK_BOOTTIME):.6f}'


def write(file, value):
    print('w', value, now(), flush=True)
    assert os.pwrite(file, value.to_bytes(8, 'little'), 0) == 8
    os.fdatasync(file)
    print('W', value, now(), flush=True)


def read(file):
    begin = now()
    value = int.from_bytes(os.pread(file, 8, 0), 'little')
    print('R', value, begin, now(), flush=True)


def main():
    path, first = sys.argv[1], int(sys.argv[2])
    writer = os.open(path, os.O_RDWR)
    reader = os.open(path, os.O_RDONLY)     # keeps the kernel's pages
    value = first
    while not select.select([sys.stdin], [], [], random.uniform(0, 0.01))[0]:
        if random.random() < 0.3:
            value += 2
            write(writer, value)
        else:
            read(reader)


if __name__ == '__main__':
    main()
