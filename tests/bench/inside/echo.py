#!/usr/bin/python3
"""echo.py serve ADDRESS | ask ADDRESS: the median seconds for 4 KiB there and 16 bytes back."""
import socket
import statistics
import sys
import time

PORT = 7999


def serve(address):
    with socket.create_server((address, PORT)) as listener:
        print('ready', flush=True)
        peer, _ = listener.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while peer.recv(4096, socket.MSG_WAITALL):
            peer.sendall(bytes(16))


def ask(address):
    taken = []
    with socket.create_connection((address, PORT)) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(3000):
            begin = time.monotonic()
            peer.sendall(bytes(4096))
            peer.recv(16, socket.MSG_WAITALL)
            taken.append(time.monotonic() - begin)
    print(statistics.median(taken))


if __name__ == '__main__':
    {'serve': serve, 'ask': ask}[sys.argv[1]](sys.argv[2])
