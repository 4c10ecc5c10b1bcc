#!/usr/bin/env python3
"""Runs a command far away: in a network of its own behind a wire that delays every packet, both ways.

usage: far_away.py --ms N --address IP/BITS --gateway IP -- COMMAND…

The wire ends in the namespace this is started in, which forwards; other hosts need a route to IP through it. It is made of
two TUN devices and goes with this process.
"""
import argparse
import ctypes
import fcntl
import heapq
import os
import select
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI, CLONE_NEWNET = 0x400454CA, 0x0001, 0x1000, 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def tun(name):
    fd = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack('16sH22x', name.encode(), IFF_TUN | IFF_NO_PI))
    return fd


def ip(*words):
    subprocess.run(['ip', *words], check=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--ms', type=float, required=True, help='one way')
    p.add_argument('--address', required=True)
    p.add_argument('--gateway', required=True)
    p.add_argument('command', nargs='+')
    a = p.parse_args()

    near = tun('far%d')
    name = fcntl.ioctl(near, 0x800454D2, bytes(40))[:16].rstrip(b'\0').decode()
    ip('address', 'add', a.gateway + '/' + a.address.split('/')[1], 'dev', name)
    ip('link', 'set', name, 'up', 'txqueuelen', '10000')
    with open('/proc/sys/net/ipv4/ip_forward', 'w', encoding='ascii') as f:
        f.write('1')
    if libc.unshare(CLONE_NEWNET) < 0:
        raise OSError(ctypes.get_errno(), 'cannot make a network namespace')
    far = tun('near0')
    ip('link', 'set', 'lo', 'up')
    ip('address', 'add', a.address, 'dev', 'near0')
    ip('link', 'set', 'near0', 'up', 'txqueuelen', '10000')
    ip('route', 'add', 'default', 'via', a.gateway)

    command = subprocess.Popen(a.command)
    other = {near: far, far: near}
    waiting, n = [], 0
    while command.poll() is None:
        until = 0.05 if not waiting else max(0, min(0.05, waiting[0][0] - time.monotonic()))
        for fd in select.select([near, far], [], [], until)[0]:
            try:
                while True:
                    packet = os.read(fd, 65536)
                    heapq.heappush(waiting, (time.monotonic() + a.ms / 1000, n, other[fd], packet))
                    n += 1
            except BlockingIOError:
                pass
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, fd, packet = heapq.heappop(waiting)
            try:
                os.write(fd, packet)
            except OSError:
                pass
    sys.exit(command.returncode)


main()
