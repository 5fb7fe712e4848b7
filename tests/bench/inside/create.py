#!/usr/bin/python3
"""create.py NODE FOLDER SECONDS: makes empty files; how many."""
import os
import sys
import time


def main():
    node, folder, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    print('ready', flush=True)
    sys.stdin.readline()
    until, made = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        os.close(os.open(f'{folder}/{node}-{made}', os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
        made += 1
    print(made)


if __name__ == '__main__':
    main()
