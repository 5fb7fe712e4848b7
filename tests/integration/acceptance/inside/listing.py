#!/usr/bin/python3
"""Prints a whole tree: name, kind, mode, links, size, hash of the content. Two nodes must print the same."""
import hashlib
import os
import stat
import sys


def line_of(path, shown):
    status = os.lstat(path)
    digest = '-'
    if stat.S_ISREG(status.st_mode):
        with open(path, 'rb') as file:
            digest = hashlib.sha256(file.read()).hexdigest()[:16]
    return f'{shown} {status.st_ino} {status.st_mode:o} {status.st_nlink} {status.st_size} {digest}'


def main():
    root = sys.argv[1]
    for directory, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(folders + files):
            path = os.path.join(directory, name)
            print(line_of(path, os.path.relpath(path, root)))


if __name__ == '__main__':
    main()
