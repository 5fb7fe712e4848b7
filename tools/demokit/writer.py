#!/usr/bin/python3
"""Runs inside a node: appends numbered lines to a file and fsyncs each. Prints a line for every one that is durable:
its number and the seconds since boot at which the fsync returned. Stops at the end of its standard input."""
import os
import select
import sys
import time


def main():
    path, name, pause = sys.argv[1], sys.argv[2], float(sys.argv[3])
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    number = 0
    while not select.select([sys.stdin], [], [], pause)[0]:
        number += 1
        line = f'{name} {number:08d} {"x" * (number % 40)}\n'.encode()
        if os.write(file, line) != len(line):
            sys.exit(f'short write of line {number}')
        os.fsync(file)
        print(number, f'{time.clock_gettime(time.CLOCK_BOOTTIME):.6f}', flush=True)


if __name__ == '__main__':
    main()
