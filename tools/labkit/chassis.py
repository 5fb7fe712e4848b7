"""What a simulated BMC runs to act on its node: chassis.py SOCKET NODE get power | set power 0|1 | set reset 1.

Must print exactly power:0 or power:1 for get and nothing for set; an exit status other than 0 is an IPMI error.
"""
import json
import socket
import sys


def ask(path, request):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(connection.makefile().readline())


def main(arguments):
    path, node, verb, item = arguments[:4]
    if verb == "get" and item == "power":
        reply = ask(path, {"command": "power_state", "node": node})
        print(f"power:{1 if reply['state'] == 'on' else 0}")
        return 0
    action = {("power", "0"): "off", ("power", "1"): "on", ("reset", "1"): "reset"}.get((item, arguments[4]))
    if verb != "set" or action is None:
        return 1
    return 0 if ask(path, {"command": "bmc_action", "node": node, "action": action})["ok"] else 1


sys.exit(main(sys.argv[1:]))
