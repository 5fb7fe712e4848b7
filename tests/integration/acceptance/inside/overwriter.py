#!/usr/bin/python3
"""overwriter.py FILE FIELD SECONDS: counts up in one 8-byte field of each page of a file that others overwrite and read as
well, and reads all of it in between. Prints the last number of each page, then how often it was gone when it looked."""
import os
import struct
import sys
import time

PAGE = 4096


def main():
    path, field, until = sys.argv[1], int(sys.argv[2]), time.monotonic() + float(sys.argv[3])
    file = os.open(path, os.O_RDWR)
    pages = os.fstat(file).st_size // PAGE
    numbers, lost, turn = [0] * pages, 0, 0
    while time.monotonic() < until:
        page = turn % pages
        turn += 1
        numbers[page] += 1
        os.pwrite(file, struct.pack('<Q', numbers[page]), page * PAGE + 8 * field)
        if turn % 7 == 0:
            content = os.pread(file, pages * PAGE, 0)
            found = [struct.unpack_from('<Q', content, page * PAGE + 8 * field)[0] for page in range(pages)]
            lost += found != numbers
    os.close(file)
    print(lost, *numbers)


if __name__ == '__main__':
    main()
