#!/usr/bin/env python3
"""A TURN client over TCP or TLS for tests that must know what became of every byte (RFC 8656, RFC 8489 §9.2).

usage: stream_client.py COMMAND [options], see --help. Prints what was seen as one line of JSON.
"""
import argparse
import base64
import hashlib
import hmac
import ipaddress
import json
import os
import select
import socket
import ssl
import struct
import sys
import time

COOKIE = 0x2112A442
ALLOCATE, REFRESH, BIND = 0x003, 0x004, 0x009
USERNAME, INTEGRITY, REALM, NONCE = 0x0006, 0x0008, 0x0014, 0x0015
ERROR_CODE, CHANNEL, PEER, TRANSPORT = 0x0009, 0x000C, 0x0012, 0x0019
RELAYED, MAPPED, LIFETIME = 0x0016, 0x0020, 0x000D


def proxy_v2(client, server):
    """The header of a proxy that says who connected to what."""
    (a, p), (b, q) = client, server
    a, b = ipaddress.ip_address(a), ipaddress.ip_address(b)
    body = a.packed + b.packed + struct.pack('!HH', p, q)
    return b'\r\n\r\n\0\r\nQUIT\n' + struct.pack('!BBH', 0x21, 0x11 if a.version == 4 else 0x21, len(body)) + body


class Client:
    def __init__(self, a):
        self.a = a
        self.socket = socket.create_connection((a.server, a.port), timeout=10)
        if a.receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, a.receive_buffer)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if a.proxy_client:
            self.socket.sendall(proxy_v2((a.proxy_client, 40000), (a.server, a.port)))
        if a.tls:
            context = ssl.create_default_context(cafile=a.ca)
            context.check_hostname = a.ca is not None
            context.set_alpn_protocols(['stun.turn'])
            if a.ca is None:
                context.verify_mode = ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket, server_hostname=a.server)
        self.buffer = b''
        self.realm = self.nonce = None

    def credentials(self):
        self.key = hashlib.md5(f'{self.a.user}:{self.realm.decode()}:{self.a.password}'.encode()).digest()

    def build(self, method, attributes):
        body = b''.join(struct.pack('!HH', t, len(v)) + v + bytes(-len(v) % 4) for t, v in attributes)
        transaction = os.urandom(12)
        signed = self.nonce is not None
        head = struct.pack('!HHI', method, len(body) + (24 if signed else 0), COOKIE) + transaction
        message = head + body
        if signed:
            message += struct.pack('!HH', INTEGRITY, 20) + hmac.new(self.key, message, hashlib.sha1).digest()
        return transaction, message

    def signed(self, attributes):
        if self.nonce is None:
            return attributes
        return attributes + [(USERNAME, self.a.user.encode()), (REALM, self.realm), (NONCE, self.nonce)]

    def fill(self, timeout):
        if self.a.tls and self.socket.pending():
            ready = True
        else:
            ready = select.select([self.socket], [], [], timeout)[0]
        if not ready:
            return False
        got = self.socket.recv(65536)
        if not got:
            raise EOFError('the server closed the connection')
        self.buffer += got
        return True

    def message(self):
        """The next whole message that has come, or None."""
        b = self.buffer
        if len(b) < 4:
            return None
        kind, length = struct.unpack('!HH', b[:4])
        whole = (4 + length + 3) & ~3 if kind >= 0x4000 else 20 + length
        if len(b) < whole:
            return None
        self.buffer = b[whole:]
        return kind, b[:4 + length] if kind >= 0x4000 else b[:whole]

    def request(self, method, attributes, data=None):
        """Sends a request and waits for its answer; ChannelData that comes meanwhile goes to `data`."""
        transaction, message = self.build(method, self.signed(attributes))
        self.socket.sendall(message)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            m = self.message()
            if m is None:
                self.fill(0.1)
            elif m[0] >= 0x4000:
                if data is not None:
                    data(m[1])
            elif m[1][8:20] == transaction:
                return m[0], dict(self.attributes(m[1]))
        raise TimeoutError(f'no answer to 0x{method:03x}')

    @staticmethod
    def attributes(message):
        at = 20
        while at + 4 <= len(message):
            t, n = struct.unpack('!HH', message[at:at + 4])
            yield t, message[at + 4:at + 4 + n]
            at += (4 + n + 3) & ~3

    def call(self, method, attributes, data=None):
        kind, answer = self.request(method, attributes, data)
        if kind == method | 0x110:
            code = answer[ERROR_CODE]
            if code[2] * 100 + code[3] in (401, 438) and NONCE in answer:
                self.realm, self.nonce = answer[REALM], answer[NONCE]
                self.credentials()
                kind, answer = self.request(method, attributes, data)
        if kind != method | 0x100:
            code = answer.get(ERROR_CODE, bytes(4))
            raise RuntimeError(f'0x{method:03x} refused: {code[2] * 100 + code[3]}')
        return answer

    def address(self, value):
        port = struct.unpack('!H', value[2:4])[0] ^ (COOKIE >> 16)
        a = bytes(x ^ y for x, y in zip(value[4:8], struct.pack('!I', COOKIE)))
        return str(ipaddress.ip_address(a)), port

    def xor(self, host, port):
        a = bytes(x ^ y for x, y in zip(ipaddress.ip_address(host).packed, struct.pack('!I', COOKIE)))
        return struct.pack('!BBH', 0, 1, port ^ (COOKIE >> 16)) + a

    def allocate(self):
        answer = self.call(ALLOCATE, [(TRANSPORT, bytes([17, 0, 0, 0]))])
        return self.address(answer[RELAYED]), self.address(answer[MAPPED])

    def bind(self, channel, host, port):
        self.call(BIND, [(CHANNEL, struct.pack('!HH', channel, 0)), (PEER, self.xor(host, port))])

    def send(self, channel, data):
        self.socket.sendall(struct.pack('!HH', channel, len(data)) + data + bytes(-len(data) % 4))


def start(a):
    c = Client(a)
    relayed, mapped = c.allocate()
    if a.peer:
        host, port = a.peer.rsplit(':', 1)
        c.bind(0x4000, host, int(port))
    return c, relayed, mapped


def allocate(a):
    """Allocates, says what came of it, and ends."""
    c, relayed, mapped = start(a)
    alpn = c.socket.selected_alpn_protocol() if a.tls else None
    return {'relayed': f'{relayed[0]}:{relayed[1]}', 'mapped': f'{mapped[0]}:{mapped[1]}', 'alpn': alpn}


def echo(a):
    """Numbered messages to an echoing peer, so many a second, and what came back."""
    c, _, _ = start(a)
    seen, latest, sent = set(), 0.0, 0
    began = time.monotonic()

    def came(message):
        nonlocal latest
        n, at = struct.unpack('!Id', message[4:16])
        seen.add(n)
        latest = max(latest, time.monotonic() - at)

    while time.monotonic() < began + a.seconds:
        due = int((time.monotonic() - began) * a.rate)
        while sent < due:
            c.send(0x4000, struct.pack('!Id', sent, time.monotonic()).ljust(a.size, b'.'))
            sent += 1
        c.fill(0.002)
        while (m := c.message()) is not None:
            came(m[1])
    c.call(REFRESH, [], came)
    until = time.monotonic() + 3
    while len(seen) < sent and time.monotonic() < until:
        c.fill(0.05)
        while (m := c.message()) is not None:
            came(m[1])
    return {'sent': sent, 'lost': sent - len(seen), 'latest_ms': round(latest * 1000, 1)}


def burst(a):
    """Waits for numbered messages of a peer (see `sender`): each burst as a whole, and how long it took."""
    c, relayed, _ = start(a)
    c.send(0x4000, f'{relayed[0]} {relayed[1]}'.encode())
    seen, first, last = set(), None, None
    until = time.monotonic() + a.seconds
    while time.monotonic() < until and len(seen) < a.expect:
        c.fill(0.1)
        while (m := c.message()) is not None:
            if m[0] >= 0x4000:
                seen.add(m[1][4:8])
                last = time.monotonic()
                first = first or last
    return {'received': len(seen), 'lost': a.expect - len(seen),
            'took_ms': round(((last or 0) - (first or 0)) * 1000, 1)}


def sender(a):
    """The peer of `burst`: waits for its first message, then sends bursts to where that came from."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
    s.bind((a.server, a.port))
    s.settimeout(20)
    _, relayed = s.recvfrom(2048)
    time.sleep(0.3)
    n = 0
    for _ in range(a.bursts):
        for _ in range(a.burst_bytes // a.size):
            s.sendto(struct.pack('!I', n).ljust(a.size, b'.'), relayed)
            n += 1
        time.sleep(a.pause)
    return {'sent': n}


def deaf(a):
    """Allocates, lets the peer send, and reads nothing: how long until the server gives up."""
    c, _, _ = start(a)
    c.send(0x4000, b'go')
    began = time.monotonic()
    while time.monotonic() < began + a.seconds:
        poll = select.poll()
        poll.register(c.socket, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
        if poll.poll(100):
            return {'cut_off': True, 'after_s': round(time.monotonic() - began, 1)}
    return {'cut_off': False}


def raw(a):
    """Sends bytes (base64) as they are, perhaps in pieces, and says how the server ends it."""
    c = Client(a)
    data = base64.b64decode(a.data)
    step = a.step or len(data) or 1
    for at in range(0, len(data), step):
        c.socket.sendall(data[at:at + step])
        time.sleep(0.002 if a.step else 0)
    began, got = time.monotonic(), b''
    c.socket.settimeout(a.seconds)
    try:
        while part := c.socket.recv(65536):
            got += part
        closed = True
    except TimeoutError:
        closed = False
    except OSError:
        closed = True
    return {'closed': closed, 'after_s': round(time.monotonic() - began, 1), 'received': len(got)}


def main():
    p = argparse.ArgumentParser()
    p.add_argument('command', choices=['allocate', 'echo', 'burst', 'sender', 'deaf', 'raw'])
    p.add_argument('--server', required=True)
    p.add_argument('--port', type=int, required=True)
    p.add_argument('--tls', action='store_true')
    p.add_argument('--ca')
    p.add_argument('--user', default='')
    p.add_argument('--password', default='')
    p.add_argument('--peer')
    p.add_argument('--proxy-client', help='say in a PROXY v2 header that this address connected')
    p.add_argument('--receive-buffer', type=int, default=0)
    p.add_argument('--seconds', type=float, default=5)
    p.add_argument('--rate', type=int, default=200)
    p.add_argument('--size', type=int, default=1100)
    p.add_argument('--expect', type=int, default=0)
    p.add_argument('--bursts', type=int, default=1)
    p.add_argument('--burst-bytes', type=int, default=300000)
    p.add_argument('--pause', type=float, default=1)
    p.add_argument('--data', default='')
    p.add_argument('--step', type=int, default=0)
    a = p.parse_args()
    try:
        print(json.dumps(globals()[a.command](a)))
    except (OSError, EOFError, RuntimeError) as e:
        print(json.dumps({'error': str(e) or type(e).__name__}))
        sys.exit(1)


main()
