#!/usr/bin/python3
"""Runs in one node: creates files, now and then writes an older one anew. After each close it prints the file's number
and version, for the reader in the other node."""
import sys

from content import content_of, name_of


def write(directory, number, version):
    with open(name_of(directory, number), 'wb') as file:
        file.write(content_of(number, version))
    print(number, version, flush=True)


def main():
    directory, count = sys.argv[1], int(sys.argv[2])
    for number in range(count):
        write(directory, number, 0)
        if number % 10 == 9:
            write(directory, number - 9, 1)


if __name__ == '__main__':
    main()
