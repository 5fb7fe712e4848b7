"""Power and links: what is cut must really be cut, and what comes back must really be back."""
import os
import subprocess
import time

from expectations import bmc, members, pings
from verdicts import eventually, expect

# Prints what happens to a TCP connection from b; "silent" is what a power cut looks like.
LISTEN = '''
import socket, sys
server = socket.create_server(("10.79.1.1", 9999))
print("listening", flush=True)
peer, _ = server.accept()
peer.recv(1)
print("connected", flush=True)
peer.settimeout(4)
try:
    print("ended" if peer.recv(1) == b"" else "data", flush=True)
except TimeoutError:
    print("silent", flush=True)
except OSError as error:
    print("reset", flush=True)
'''
CONNECT = '''
import socket, signal, time
peer = socket.create_connection(("10.79.1.1", 9999))
peer.send(b"x")
time.sleep(60)
'''
STUBBORN = 'trap "" TERM HUP INT QUIT PIPE; while :; do date +%s.%N > /run/lab/beat; sleep 0.05; done'


def beat(lab, node):
    path = os.path.join(lab.directory, node, 'beat')
    return os.stat(path).st_mtime_ns if os.path.exists(path) else None


def told_bmc(lab, node):
    with open(os.path.join(lab.directory, node, 'log/power.log'), encoding='utf-8') as log:
        return log.read().count('BMC told')


def power_off_is_at_once_and_silent(lab):
    listener = lab.popen('a', '/usr/bin/python3', '-c', LISTEN, stdout=subprocess.PIPE)
    expect(listener.stdout.readline() == 'listening\n', 'a listens')
    speaker = lab.popen('b', '/usr/bin/python3', '-c', CONNECT)
    stubborn = lab.popen('b', 'setsid', 'sh', '-c', STUBBORN)
    expect(listener.stdout.readline() == 'connected\n', 'b connects over the replication network')
    eventually(lambda: beat(lab, 'b') is not None, 'b works')
    lab.verb('power', 'b', 'off')
    last = beat(lab, 'b')
    expect(lab.verb('power', 'b', 'status') == 'off\n', 'status says off')
    expect(speaker.wait(60) != 0 and stubborn.wait(60) != 0, 'exec into a node that dies must fail')
    expect(lab.run('b', 'true', check=False).returncode == 125, 'exec without power is 125')
    expect(listener.stdout.readline() == 'silent\n', 'a dying node said goodbye on the wire')
    listener.wait(60)
    expect(beat(lab, 'b') == last, 'something in b still works after off')
    eventually(lambda: members(lab, 'a') == ['a'], 'corosync of a sees b gone')
    lab.verb('power', 'b', 'on')
    lab.wait_healthy()


def node_shoots_node(lab):
    done = bmc(lab, 'b', 'a', 'off')
    expect(done.returncode == 0, f'ipmitool on b cannot switch a off: {done.stderr}')
    expect(lab.verb('power', 'a', 'status') == 'off\n', 'a is off')
    expect(bmc(lab, 'b', 'a', 'on').returncode == 0, 'ipmitool on b switches a on')
    lab.wait_healthy()
    expect(bmc(lab, 'b', 'a', 'reset').returncode == 0, 'ipmitool on b resets a')
    lab.wait_healthy()


def crash_needs_no_bmc(lab):
    asked = told_bmc(lab, 'b')
    lab.verb('crash', 'b')
    expect(told_bmc(lab, 'b') == asked, 'crash must not ask the BMC')
    lab.verb('power', 'b', 'on')
    lab.verb('bmc', 'b', 'hung')
    lab.verb('crash', 'b')
    lab.verb('bmc', 'b', 'ok')
    expect(lab.verb('power', 'b', 'status') == 'off\n', 'b is off after a crash')
    lab.verb('power', 'b', 'on')


def cluster_link_cut(lab):
    lab.verb('link', 'cluster', 'cut')
    expect(not pings(lab, 'a', 'b-cluster'), 'the cluster network must be cut')
    eventually(lambda: pings(lab, 'a', 'b-replication') and pings(lab, 'a', 'bmc-b'), 'the other networks must work')
    for node in ('a', 'b'):
        eventually(lambda node=node: members(lab, node) == [node], f'corosync of {node} is alone')
    expect(lab.status()['links']['cluster'] == 'cut', 'status tells of the cut')
    lab.verb('link', 'cluster', 'heal')
    lab.wait_healthy()
    eventually(lambda: pings(lab, 'a', 'b-cluster'), 'healed')


def replication_link_cut(lab):
    lab.verb('link', 'replication', 'cut')
    expect(not pings(lab, 'a', 'b-replication'), 'replication must be cut')
    eventually(lambda: pings(lab, 'a', 'b-cluster'), 'only replication must be cut')
    lab.verb('power', 'b', 'off')
    lab.verb('power', 'b', 'on')
    lab.wait_healthy()
    expect(not pings(lab, 'a', 'b-replication'), 'a cut must outlive a reboot')
    lab.verb('link', 'replication', 'heal')
    eventually(lambda: pings(lab, 'a', 'b-replication'), 'healed')


def bmc_faults(lab):
    lab.verb('bmc', 'b', 'stuck')
    expect(bmc(lab, 'a', 'b', 'off').returncode == 0, 'a stuck BMC says OK')
    expect(lab.verb('power', 'b', 'status') == 'on\n', 'and does nothing')
    lab.verb('bmc', 'b', 'fail')
    expect(bmc(lab, 'a', 'b', 'off').returncode != 0, 'a failing BMC says so')
    expect(lab.verb('power', 'b', 'status') == 'on\n', 'and does nothing')
    lab.verb('bmc', 'b', 'slow', '--seconds', '10')
    started = time.monotonic()
    expect(bmc(lab, 'a', 'b', 'off').returncode == 0, 'a slow BMC says OK')
    expect(lab.verb('power', 'b', 'status') == 'on\n', 'before it is done')
    eventually(lambda: lab.verb('power', 'b', 'status') == 'off\n', 'a slow BMC acts in the end')
    expect(time.monotonic() - started > 9, 'a slow BMC is slow')
    lab.verb('bmc', 'b', 'hung')
    expect(bmc(lab, 'a', 'b', 'status').returncode != 0, 'a hung BMC does not answer')
    lab.verb('bmc', 'b', 'ok')
    lab.verb('power', 'b', 'on')


CHECKS = [power_off_is_at_once_and_silent, node_shoots_node, crash_needs_no_bmc, cluster_link_cut, replication_link_cut,
          bmc_faults]
