#!/usr/bin/python3
# A TURN client that changes its address under load (RFC 8016): it sends numbered ChannelData to an echo, shows its
# ticket from a second address, goes on there, and counts what did not come back. Run inside the client's namespace.
# usage: mobile_client.py SERVER PORT USER PASSWORD REALM PEER PEER_PORT OLD_ADDRESS NEW_ADDRESS SECONDS
import hashlib
import hmac
import os
import select
import socket
import struct
import sys
import time

COOKIE = 0x2112A442
ALLOCATE, REFRESH, CHANNEL_BIND = 3, 4, 9
TICKET = 0x8030
CHANNEL = 0x4000
PERIOD_S = 0.002

server, port, user, password, realm, peer, peer_port, old_address, new_address, seconds = sys.argv[1:]
server = (server, int(port))
key = hashlib.md5(f"{user}:{realm}:{password}".encode()).digest()


class Client:
    """One address: a socket and the nonce that the server gave it."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.nonce = None
        self.echoes = []  # numbers of data that came back while an answer was waited for

    def message(self, method, attributes):
        transaction = os.urandom(12)
        body = b"".join(struct.pack(">HH", t, len(v)) + v + bytes(-len(v) % 4) for t, v in attributes)
        if self.nonce is None:
            return transaction, struct.pack(">HHI", method, len(body), COOKIE) + transaction + body
        for t, v in ((0x0006, user.encode()), (0x0014, realm.encode()), (0x0015, self.nonce)):
            body += struct.pack(">HH", t, len(v)) + v + bytes(-len(v) % 4)
        covered = struct.pack(">HHI", method, len(body) + 24, COOKIE) + transaction + body
        tag = hmac.new(key, covered, hashlib.sha1).digest()
        return transaction, covered + struct.pack(">HH", 0x0008, 20) + tag

    def request(self, method, attributes):
        """Returns (error code or 0, attributes of the answer)."""
        while True:
            transaction, bytes_ = self.message(method, attributes)
            answer = self.exchange(transaction, bytes_)
            code = answer[9][2] * 100 + answer[9][3] if 9 in answer else 0
            if code in (401, 438) and (code == 438 or self.nonce is None):
                self.nonce = answer[0x0015]
                continue
            return code, answer

    def exchange(self, transaction, bytes_):
        for wait_s in (0.5, 1, 2):
            self.socket.sendto(bytes_, server)
            until = time.monotonic() + wait_s
            while select.select([self.socket], [], [], max(0, until - time.monotonic()))[0]:
                got = self.socket.recv(2000)
                if got[0] >= 0x40:
                    self.echoes.append(got)
                elif got[8:20] == transaction:
                    return parse(got)
        sys.exit("no answer from the server")

    def send(self, number):
        self.socket.sendto(struct.pack(">HHI", CHANNEL, 4, number), server)

    def received(self):
        while select.select([self.socket], [], [], 0)[0]:
            self.echoes.append(self.socket.recv(2000))
        numbers = [struct.unpack(">I", e[4:8])[0] for e in self.echoes if e[0] == CHANNEL >> 8]
        self.echoes = []
        return numbers


def parse(message):
    attributes, at = {}, 20
    while at + 4 <= len(message):
        t, n = struct.unpack(">HH", message[at : at + 4])
        attributes.setdefault(t, message[at + 4 : at + 4 + n])
        at += 4 + n + -n % 4
    return attributes


def peer_attribute():
    address = struct.unpack(">I", socket.inet_aton(peer))[0] ^ COOKIE
    return struct.pack(">BBHI", 0, 1, int(peer_port) ^ COOKIE >> 16, address)


def expect(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: {got}, not {wanted}")


old, new, third = Client(old_address), Client(new_address), Client(new_address)
code, answer = old.request(ALLOCATE, [(0x0019, bytes([17, 0, 0, 0])), (TICKET, b"")])
expect("Allocate", code, 0)
first_ticket = answer[TICKET]
code, _ = old.request(CHANNEL_BIND, [(0x000C, struct.pack(">HH", CHANNEL, 0)), (0x0012, peer_attribute())])
expect("ChannelBind", code, 0)

back, sent, on_new, moved_at = set(), 0, 0, None
start = time.monotonic()
while time.monotonic() < start + float(seconds):
    elapsed = time.monotonic() - start
    if moved_at is None and elapsed > float(seconds) / 2:
        # What was sent before is still on its way back to the old address.
        code, answer = new.request(REFRESH, [(0x000D, struct.pack(">I", 600)), (TICKET, first_ticket)])
        expect("Refresh with the ticket from the new address", code, 0)
        moved_at = sent
        second_ticket = answer[TICKET]
        expect("another ticket", second_ticket != first_ticket, True)
    (old if moved_at is None else new).send(sent)
    sent += 1
    back.update(old.received())
    numbers = new.received()
    on_new += len(numbers)
    back.update(numbers)
    time.sleep(PERIOD_S)
time.sleep(0.3)
back.update(old.received())
numbers = new.received()
on_new += len(numbers)
back.update(numbers)

lost = [n for n in range(sent) if n not in back]
print(f"{sent} sent, {moved_at} before the move, {on_new} came back on the new address, {len(lost)} lost")
expect("lost", lost, [])
expect("data goes to the new address", on_new > 0, True)
code, _ = third.request(REFRESH, [(0x000D, struct.pack(">I", 600)), (TICKET, first_ticket)])
expect("Refresh with the old ticket", code, 400)
code, _ = old.request(REFRESH, [(0x000D, struct.pack(">I", 600))])
expect("Refresh from the old address", code, 437)
code, _ = third.request(REFRESH, [(0x000D, struct.pack(">I", 0)), (TICKET, second_ticket)])
expect("Refresh with the new ticket and lifetime 0", code, 0)
