#!/usr/bin/python3
"""keep_open.py PATH: reads the file, and once more at each line of standard input; prints what it read, or the error."""
import os
import sys


def main():
    file = os.open(sys.argv[1], os.O_RDONLY)
    print(os.pread(file, 100, 0).decode(), flush=True)
    for _ in sys.stdin:
        try:
            print(os.pread(file, 100, 0).decode(), flush=True)
        except OSError as error:
            print(error.strerror, flush=True)


if __name__ == '__main__':
    main()
