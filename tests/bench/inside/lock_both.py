#!/usr/bin/python3
"""lock_both.py NODE fcntl|flock PATH SECONDS: takes a lock that the other node wants, too; when it got it, each time."""
import fcntl
import os
import sys
import time


def main():
    lock = fcntl.lockf if sys.argv[2] == 'fcntl' else fcntl.flock
    file, moments = os.open(sys.argv[3], os.O_RDWR), []
    print('ready', flush=True)
    sys.stdin.readline()
    until = time.monotonic() + int(sys.argv[4])
    while time.monotonic() < until:
        lock(file, fcntl.LOCK_EX)
        moments.append(time.clock_gettime(time.CLOCK_BOOTTIME))
        lock(file, fcntl.LOCK_UN)
    print(*moments)


if __name__ == '__main__':
    main()
