"""The lab: nodes made of namespaces.

    world   one process namespace that holds everything: the three networks, one ipmi_sim per node, the nodes.
            Killing its first process ends all of it at once; nothing of it exists outside that process's namespaces.
    node    process, mount, network, uts and ipc namespaces inside the world, with an init that boots the real daemons.

layout says where things are; world and node run inside; cli and the rest run outside and talk to the world over a socket.
"""
