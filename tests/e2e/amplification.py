#!/usr/bin/env python3
"""What an unauthenticated source gets for what it sends, in bytes of IP packets, for every kind of request.

Sends from addresses of its own, one per case, so that none has a past: first one request (the answer may weigh 1.9 times
as much), then a flood of the same (all answers together may not weigh more than all requests). At the end an honest
client asks for an allocation from the very address that is flooded. Prints a table; exits 1 when a bound does not hold.

usage: amplification.py --interface NAME --server4 ADDRESS --server6 ADDRESS --port PORT --user NAME --password TEXT
"""
import argparse
import hashlib
import hmac
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib

COOKIE = 0x2112A442
FIRST_MAX = 1.9
FLOOD = 400


def attribute(kind, value):
    return struct.pack("!HH", kind, len(value)) + value + b"\0" * (-len(value) % 4)


def message(kind, attributes=b"", fingerprint=False):
    transaction = os.urandom(12)
    length = len(attributes) + (8 if fingerprint else 0)
    data = struct.pack("!HHI", kind, length, COOKIE) + transaction + attributes
    if fingerprint:
        data += attribute(0x8028, struct.pack("!I", (zlib.crc32(data) & 0xFFFFFFFF) ^ 0x5354554E))
    return data


def attributes_of(data):
    at, found = 20, {}
    while at + 4 <= len(data):
        kind, length = struct.unpack("!HH", data[at:at + 4])
        found.setdefault(kind, data[at + 4:at + 4 + length])
        at += 4 + length + (-length % 4)
    return found


REQUESTED_UDP = attribute(0x0019, bytes([17, 0, 0, 0]))
SOFTWARE = attribute(0x8022, b"a client")
BOGUS_SHA1 = attribute(0x0008, b"\x11" * 20)
BOGUS_SHA256 = attribute(0x001C, b"\x11" * 32)
REALM = attribute(0x0014, b"lab.turnpike")
USER = attribute(0x0006, b"lab")
PEER = attribute(0x0012, bytes([0, 1]) + struct.pack("!HI", 5000 ^ (COOKIE >> 16), 0xC6120014 ^ COOKIE))
CHANNEL = attribute(0x000C, struct.pack("!HH", 0x4000, 0))

METHODS = {
    "Binding": (0x0001, b""),
    "Allocate": (0x0003, REQUESTED_UDP),
    "Refresh": (0x0004, attribute(0x000D, struct.pack("!I", 600))),
    "CreatePermission": (0x0008, PEER),
    "ChannelBind": (0x0009, CHANNEL + PEER),
    "Connect": (0x000A, PEER),
    "ConnectionBind": (0x000B, attribute(0x002A, b"\0\0\0\1")),
    "unknown method": (0x0FFE & 0x3EEF, b""),
}


def cases():
    """Name, a function of the nonce (b'' where none is needed) that makes a request, and whether it needs a nonce."""
    for name, (kind, body) in METHODS.items():
        yield f"{name}", lambda n, k=kind, b=body: message(k, b), False
        yield f"{name}, FINGERPRINT", lambda n, k=kind, b=body: message(k, b, True), False
        yield f"{name}, SOFTWARE", lambda n, k=kind, b=body: message(k, b + SOFTWARE), False
        yield f"{name}, header alone", lambda n, k=kind: message(k), False
        yield f"{name}, empty integrity", lambda n, k=kind, b=body: message(k, b + attribute(8, b"")), False
        yield f"{name}, bogus integrity", lambda n, k=kind, b=body: message(k, b + BOGUS_SHA1), False
        wrong = attribute(0x0015, b"x")
        yield (f"{name}, wrong nonce",
               lambda n, k=kind, b=body, w=wrong: message(k, b + USER + REALM + w + BOGUS_SHA1), False)
        empty = attribute(0x0006, b"") + attribute(0x0014, b"") + attribute(0x0015, b"") + attribute(8, b"")
        yield f"{name}, empty credentials", lambda n, k=kind, e=empty: message(k, e), False
        if name != "Binding":
            yield (f"{name}, right nonce, wrong key",
                   lambda n, k=kind, b=body: message(k, b + USER + REALM + attribute(0x15, n) + BOGUS_SHA1), True)
            yield (f"{name}, right nonce, wrong SHA-256",
                   lambda n, k=kind, b=body: message(k, b + USER + REALM + attribute(0x15, n) + BOGUS_SHA256), True)
    yield "Binding, unknown attribute", lambda n: message(1, attribute(0x7FFE, b"")), False
    yield "Binding, 16 unknown", lambda n: message(1, b"".join(attribute(0x7F00 + i, b"") for i in range(16))), False
    yield "Binding, CHANGE-REQUEST", lambda n: message(1, attribute(3, struct.pack("!I", 6))), False
    yield "Binding, RESPONSE-PORT", lambda n: message(1, attribute(0x27, struct.pack("!HH", 9, 0))), False
    yield "Binding, PADDING", lambda n: message(1, attribute(0x26, b"p" * 64)), False
    yield "Allocate, USERHASH", lambda n: message(3, REQUESTED_UDP + attribute(0x1E, b"h" * 32)), False
    yield "DTLS ClientHello", lambda n: client_hello(), False
    yield "a DTLS record of nothing", lambda n: bytes([22, 0xFE, 0xFD]) + b"\0" * 10, False


def client_hello():
    body = b"\xfe\xfd" + os.urandom(32) + b"\0" + b"\0" + struct.pack("!HHH", 4, 0xC02B, 0xC02F) + b"\1\0"
    extensions = (struct.pack("!HHHHH", 10, 6, 4, 29, 23) + struct.pack("!HHBB", 11, 2, 1, 0) +
                  struct.pack("!HHHHH", 13, 6, 4, 0x0403, 0x0804))
    body += struct.pack("!H", len(extensions)) + extensions
    size = struct.pack("!I", len(body))[1:]
    handshake = b"\1" + size + b"\0\0" + b"\0\0\0" + size + body
    return bytes([22, 0xFE, 0xFD]) + b"\0" * 8 + struct.pack("!H", len(handshake)) + handshake


class Lab:
    def __init__(self, options):
        self.options = options
        self.n_sources = {4: 0, 6: 0}

    def server(self, family):
        return self.options.server4 if family == 4 else self.options.server6

    def source(self, family):
        """A fresh address that nobody has sent from: for IPv6 of a /64 of its own."""
        self.n_sources[family] += 1
        n = self.n_sources[family]
        address = f"198.18.{100 + n // 200}.{1 + n % 200}" if family == 4 else f"fd00:18:77:{n:x}::10"
        subprocess.run(["ip", "address", "add", f"{address}/{32 if family == 4 else 128}", "dev",
                        self.options.interface] + (["nodad"] if family == 6 else []), check=True)
        return address

    def socket(self, family, source):
        s = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        s.bind((source, 0))
        s.connect((self.server(family), self.options.port))
        return s


def receive(s, seconds):
    """All datagrams until none came for that long."""
    got = []
    s.settimeout(seconds)
    try:
        while True:
            got.append(s.recv(65535))
    except socket.timeout:
        return got
    except ConnectionError:
        return got


def weight(datagrams, header):
    return sum(len(d) + header for d in datagrams)


def nonce_of(s):
    for _ in range(7):
        s.send(message(3, REQUESTED_UDP + attribute(0x8022, b"who has to know the nonce first")))
        got = receive(s, 0.2)
        if got:
            return attributes_of(got[0])[0x15]
    raise SystemExit("FAILED: no nonce")


def measure(lab, family, name, make, needs_nonce, failures):
    header = 28 if family == 4 else 48
    s = lab.socket(family, lab.source(family))
    nonce = nonce_of(s) if needs_nonce else b""
    request = make(nonce)
    s.send(request)
    answers = receive(s, 0.05)
    sent, got = len(request) + header, weight(answers, header)
    first = got / sent
    for i in range(FLOOD):
        request = make(nonce)
        s.send(request)
        sent += len(request) + header
        if i % 20 == 19:
            time.sleep(0.004)
    got += weight(receive(s, 0.1), header)
    s.close()
    code = ""
    if answers and len(answers[0]) >= 20 and answers[0][0] < 4:
        error = attributes_of(answers[0]).get(9)
        code = str(error[2] * 100 + error[3]) if error else "success"
    elif answers:
        code = "DTLS"
    good = first <= FIRST_MAX and got <= sent
    print(f"IPv{family}  {name:44} {len(request) + header:5} {code:>8} {first:6.2f} {got / sent:6.2f}"
          f"{'' if good else '   TOO MUCH'}", flush=True)
    if not good:
        failures.append(f"IPv{family} {name}")
    return bool(answers)


def allocate(s, options):
    """As an honest client does it: retransmits as RFC 8489 §6.2.1 says. The seconds it took, None when it failed."""
    started = time.monotonic()
    nonce, realm, wait = None, None, 0.5
    key = None
    for _ in range(14):
        body = REQUESTED_UDP
        if nonce is not None:
            body += attribute(6, options.user.encode()) + attribute(0x14, realm) + attribute(0x15, nonce)
            head = struct.pack("!HHI", 3, len(body) + 24, COOKIE) + os.urandom(12)
            request = head + body + attribute(8, hmac.new(key, head + body, hashlib.sha1).digest())
        else:
            request = message(3, body)
        s.send(request)
        s.settimeout(wait)
        try:
            answer = s.recv(65535)
        except socket.timeout:
            wait = min(wait * 2, 4)
            continue
        wait = 0.5
        if answer[:2] == b"\x01\x03":
            return time.monotonic() - started
        found = attributes_of(answer)
        nonce, realm = found[0x15], found[0x14]
        key = hashlib.md5(b":".join([options.user.encode(), realm, options.password.encode()])).digest()
    return None


def flooded(lab, family, failures):
    """An honest client behind a prefix that somebody floods in its name."""
    address = lab.source(family)
    flood, stop = lab.socket(family, address), threading.Event()
    header = 28 if family == 4 else 48
    sent = 0

    def shoot():
        nonlocal sent
        while not stop.is_set():
            for _ in range(20):
                request = message(3, REQUESTED_UDP)
                flood.send(request)
                sent += len(request) + header
            time.sleep(0.01)

    thread = threading.Thread(target=shoot)
    thread.start()
    time.sleep(0.5)
    took = []
    for _ in range(5):
        with lab.socket(family, address) as honest:
            took.append(allocate(honest, lab.options))
    stop.set()
    thread.join()
    got = weight(receive(flood, 0.2), header)
    flood.close()
    said = ", ".join("never" if t is None else f"{t:.1f} s" for t in took)
    good = None not in took and got <= sent
    print(f"IPv{family}  honest clients behind a flooded address get in after {said}; the flood got "
          f"{got / sent:.2f} of what it sent{'' if good else '   FAILED'}", flush=True)
    if not good:
        failures.append(f"IPv{family} honest client")


def main():
    parser = argparse.ArgumentParser()
    for name in ("interface", "server4", "server6", "user", "password"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--port", type=int, required=True)
    lab = Lab(parser.parse_args())
    failures = []
    answered = 0

    print(f"      {'request':44} bytes   answer  first  flood", flush=True)
    for family in (4, 6):
        for name, make, needs_nonce in cases():
            answered += measure(lab, family, name, make, needs_nonce, failures)
        flooded(lab, family, failures)
    print(f"{answered} kinds of requests were answered at first")
    if answered < 100:
        failures.append("hardly anything was answered")
    for failure in failures:
        print(f"FAILED: {failure}")
    sys.exit(1 if failures else 0)


main()
