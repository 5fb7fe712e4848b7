"""Inside a node: a program that asks for fences, as blockrepd does. asker.py [NODEID LIFE [SECONDS-TO-WITHDRAWAL]]
Prints every line of cfs-fenced with the seconds since boot in front; ends when its standard input ends."""
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
    withdraw_at = time.monotonic() + float(arguments[2]) if len(arguments) > 2 else None
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    poll.register(sys.stdin, select.POLLIN)
    received = b''
    while True:
        wait = None if withdraw_at is None else max(0, withdraw_at - time.monotonic()) * 1000
        ready = dict(poll.poll(wait))
        if sys.stdin.fileno() in ready:
            return
        if connection.fileno() not in ready:
            send('withdraw', **victim)
            withdraw_at = None
            continue
        chunk = connection.recv(65536)
        if not chunk:
            return
        received += chunk
        while b'\n' in received:
            line, received = received.split(b'\n', 1)
            print(f'{time.clock_gettime(time.CLOCK_BOOTTIME):.3f} {line.decode()}', flush=True)


main(sys.argv[1:])
