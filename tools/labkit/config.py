"""The configuration files of a node, as an administrator of two real machines would write them."""
import os
import secrets
import shutil
import subprocess
import sys

from labkit.layout import BMC_USER, DISK, NODE_VIEW, RESOURCE, Layout, write_file

_SECRET_ETC = ("shadow", "shadow-", "gshadow", "gshadow-", "ssh", "ssl/private")


def make_secrets():
    return {"cluster": secrets.token_hex(32), "resource": secrets.token_hex(16)}


def bmc_password():
    return secrets.token_hex(8)     # IPMI takes 16 characters at most


def write_node(lab: Layout, node):
    etc = lab.path(node, "etc")
    _copy_etc(etc)
    write_file(f"{etc}/hostname", node + "\n")
    write_file(f"{etc}/hosts", hosts(lab))
    write_file(f"{etc}/corosync/corosync.conf", corosync(lab))
    write_file(f"{etc}/cfs/secret", lab.settings["secrets"]["cluster"] + "\n", 0o600)
    write_file(f"{etc}/cfs/fencing.toml", fencing(lab), 0o600)
    for other in lab.nodes:
        write_file(f"{etc}/cfs/bmc-{other}.password", lab.settings["bmc_passwords"][other] + "\n", 0o600)
    write_file(f"{etc}/blockrep.conf", 'include "/etc/blockrep.d/*.res";\n')
    write_file(f"{etc}/blockrep.d/{RESOURCE}.res", resource(lab), 0o600)


def _copy_etc(target):
    """A node changes its own /etc, never the host's, whose secrets it does not get either."""
    shutil.rmtree(target, ignore_errors=True)
    os.makedirs(target)
    excludes = [f"--exclude=./{name}" for name in _SECRET_ETC + ("corosync", "cfs", "blockrep.d", "blockrep.conf")]
    script = 'tar -C /etc "$@" -cf - . | tar -C "$0" -xf -'
    subprocess.run(["sh", "-c", script, target, *excludes], check=True, stderr=subprocess.DEVNULL)


def hosts(lab):
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost"]
    for node in lab.nodes:
        lines.append(f"{lab.address(node, 'cluster')} {node} {node}-cluster")
        lines.append(f"{lab.address(node, 'replication')} {node}-replication")
        lines.append(f"{lab.address(node, 'management')} {node}-management")
        lines.append(f"{lab.bmc_address(node)} bmc-{node}")
    return "\n".join(lines) + "\n"


def corosync(lab):
    members = "".join(f"""
    node {{
        name: {node}
        nodeid: {lab.number(node)}
        ring0_addr: {lab.address(node, 'cluster')}
    }}""" for node in lab.nodes)
    pair = "    two_node: 1\n" if len(lab.nodes) == 2 else ""
    return f"""totem {{
    version: 2
    cluster_name: cfs
    transport: {lab.settings['transport']}
    token: 1000
    crypto_cipher: none
    crypto_hash: none
}}

nodelist {{{members}
}}

quorum {{
    provider: corosync_votequorum
    expected_votes: {len(lab.nodes)}
{pair}    wait_for_all: 1
}}

logging {{
    to_stderr: no
    to_syslog: no
    to_logfile: yes
    logfile: {NODE_VIEW}/log/corosync.log
    timestamp: hires
}}
"""


def fencing(lab):
    sections = []
    for node in lab.nodes:
        sections.append(f"""[node.{node}]
nodeid = {lab.number(node)}
levels = [["bmc-{node}"]]
""")
    for node in lab.nodes:
        sections.append(f"""[device.bmc-{node}]
agent = "fence_cfs_ipmi"
timeout = 20

[device.bmc-{node}.options]
ip = "{lab.bmc_address(node)}"
ipport = 623
username = "{BMC_USER}"
password_file = "/etc/cfs/bmc-{node}.password"
lanplus = true
""")
    return "\n".join(sections)


def resource(lab):
    hosts_sections = "".join(f"""
    on {node} {{
        node-id {lab.number(node) - 1};
        device minor 0;
        disk {NODE_VIEW}/{DISK[lab.settings.get('disks', 'file')]};
        meta-disk internal;
        address {lab.address(node, 'replication')}:7788;
    }}""" for node in lab.nodes[:2])
    return f"""resource {RESOURCE} {{
    net {{
        protocol C;
        allow-two-primaries yes;
        fencing resource-and-stonith;
        cram-hmac-alg sha256;
        shared-secret "{lab.settings['secrets']['resource']}";
    }}{hosts_sections}
}}
"""


def write_bmc(lab: Layout, node):
    """The files of a simulated BMC; `power` is the program by which it acts on its node."""
    folder = lab.path(node, "bmc")
    os.makedirs(f"{folder}/state", exist_ok=True)
    methods = "none md2 md5 straight"
    levels = "\n".join(f"    allowed_auths_{level} {methods}" for level in ("callback", "user", "operator", "admin"))
    write_file(f"{folder}/bmc.conf", f"""name "bmc-{node}"
set_working_mc 0x20
  startlan 1
    addr {lab.bmc_address(node)} 623
    priv_limit admin
{levels}
    guid a123456789abcdefa1234567890000{lab.number(node):02x}
  endlan
  chassis_control "sh ./power"
  user 1 false "" "unused" user 1 {methods}
  user 2 true "{BMC_USER}" "{lab.settings['bmc_passwords'][node]}" admin 10 {methods}
""", 0o600)
    write_file(f"{folder}/bmc.emu", """mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
mc_enable 0x20
""")
    program = os.path.join(os.path.dirname(os.path.realpath(__file__)), "chassis.py")
    write_file(f"{folder}/power", f"exec {sys.executable} -I -S '{program}' ../../world.sock {node} \"$@\"\n")
