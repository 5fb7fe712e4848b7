"""What all checks of the lab use."""
import os
import subprocess

from demokit.lab_client import LAB


def lab_verb(directory, *words, timeout=300):
    """One verb; the completed process, whatever its exit status."""
    return subprocess.run([LAB, words[0], '--dir', directory, *words[1:]], capture_output=True, text=True,
                          timeout=timeout, check=False)


def members(lab, node):
    return lab.status()['nodes'][node]['quorum']['members']


def pings(lab, node, name):
    return lab.run(node, 'ping', '-c1', '-W1', name, check=False).returncode == 0


def bmc(lab, node, of, *words):
    """ipmitool inside `node`, talking to the BMC of `of`."""
    return lab.run(node, 'ipmitool', '-I', 'lanplus', '-H', f'bmc-{of}', '-U', 'fence', '-f', f'/etc/cfs/bmc-{of}.password',
                   '-C', '3', '-N', '2', '-R', '3', 'chassis', 'power', *words, check=False)


def processes_of(directory):
    mark = f'CFS_LAB_OF={directory}'.encode()
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/environ', 'rb') as environment:
                if mark in environment.read().split(b'\0'):
                    found.append(int(pid))
        except OSError:
            pass
    return found


def mounts_of(directory):
    with open('/proc/self/mountinfo', encoding='utf-8', errors='surrogateescape') as mounts:
        return [line.split()[4] for line in mounts if line.split()[4].startswith(directory)]


def leftovers(directory):
    """What a lab that is down has left behind on this machine, in words; empty if nothing."""
    left = [f'process {pid}' for pid in processes_of(directory)] + [f'mount {path}' for path in mounts_of(directory)]
    return left + ([directory] if os.path.exists(directory) else [])
