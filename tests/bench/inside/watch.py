#!/usr/bin/python3
"""watch.py PATH COUNT: reads a number again and again; how long each change took to be seen, in seconds. It sleeps for a
moment in between: the nodes of a lab share processors."""
import os
import struct
import sys
import time


def main():
    path, count = sys.argv[1], int(sys.argv[2])
    file = os.open(path, os.O_RDONLY)
    print('ready', flush=True)
    last, taken = 0.0, []
    until = time.monotonic() + 300
    while len(taken) < count and time.monotonic() < until:
        stamp = struct.unpack('d', os.pread(file, 8, 0))[0]
        if stamp != last:
            taken.append(time.clock_gettime(time.CLOCK_BOOTTIME) - stamp)
            last = stamp
        time.sleep(0.0001)
    print(*taken)


if __name__ == '__main__':
    main()
