"""Inside a node: a program that asks for fences, as blockrepd does. asker.py [NODEID LIFE]
Prints every line of cfs-fenced with the seconds since boot in front; withdraws its order when it is told a line, ends when its
standard input ends."""
import json
import select
import socket
import sys
import time


def main(arguments):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect('/run/cfs/fenced.sock')
    lines = connection.makefile('rw')

    def send(command, **members):
        lines.write(json.dumps(dict(members, command=command)) + '\n')
        lines.flush()

    send('subscribe', program='asker')
    victim = {'node': int(arguments[0]), 'incarnation': arguments[1]} if arguments else None
    if victim:
        send('fence', reason='a test', **victim)
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    poll.register(sys.stdin, select.POLLIN)
    received = b''
    while True:
        ready = dict(poll.poll())
        if sys.stdin.fileno() in ready:
            if not sys.stdin.readline():
                return
            send('withdraw', **victim)
        if connection.fileno() not in ready:
            continue
        chunk = connection.recv(65536)
        if not chunk:
            return
        received += chunk
        while b'\n' in received:
            line, received = received.split(b'\n', 1)
            print(f'{time.clock_gettime(time.CLOCK_BOOTTIME):.3f} {line.decode()}', flush=True)


main(sys.argv[1:])
