#!/usr/bin/python3
"""lock_alone.py fcntl|flock PATH SECONDS: takes and gives back a lock that nobody else wants; how often."""
import fcntl
import os
import sys
import time


def main():
    lock = fcntl.lockf if sys.argv[1] == 'fcntl' else fcntl.flock
    file, count, until = os.open(sys.argv[2], os.O_RDWR), 0, time.monotonic() + int(sys.argv[3])
    while time.monotonic() < until:
        lock(file, fcntl.LOCK_EX)
        lock(file, fcntl.LOCK_UN)
        count += 1
    print(count)


if __name__ == '__main__':
    main()
