#!/usr/bin/python3
"""stamp.py PATH COUNT: writes when it does so, every 20 ms; a negative number at the end."""
import os
import struct
import sys
import time


def main():
    file = os.open(sys.argv[1], os.O_RDWR)
    for _ in range(int(sys.argv[2])):
        time.sleep(0.02)
        os.pwrite(file, struct.pack('d', time.clock_gettime(time.CLOCK_BOOTTIME)), 0)
    time.sleep(0.02)
    os.pwrite(file, struct.pack('d', -1.0), 0)


if __name__ == '__main__':
    main()
