#!/usr/bin/python3
"""append.py NODE PATH COUNT: appends numbered lines; when it began and ended."""
import os
import sys
import time


def main():
    node, path, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    print('ready', flush=True)
    sys.stdin.readline()
    begin = time.clock_gettime(time.CLOCK_BOOTTIME)
    for number in range(count):
        os.write(file, f'{node} {number} {"x" * (number % 61)} end\n'.encode())
    print(begin, time.clock_gettime(time.CLOCK_BOOTTIME))


if __name__ == '__main__':
    main()
