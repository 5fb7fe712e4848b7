#!/usr/bin/python3
"""Appends numbered lines of changing length to a file that others append to as well."""
import os
import sys


def main():
    path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in range(count):
        line = f'{name} {number} {"x" * (number % 61)} end\n'.encode()
        if os.write(file, line) != len(line):
            sys.exit(f'short write of line {number}')
    os.close(file)


if __name__ == '__main__':
    main()
