#!/usr/bin/python3
"""A RADIUS server for one user: ADDRESS SECRET USER PASSWORD. It knows PAP and CHAP (RFC 2865),
demands Message-Authenticator (RFC 3579) and writes a line for every question."""
import hashlib
import hmac
import socket
import struct
import sys

REQUEST, ACCEPT, REJECT = 1, 2, 3
USER_NAME, USER_PASSWORD, CHAP_PASSWORD, CHAP_CHALLENGE, AUTHENTICATOR = 1, 2, 3, 60, 80


def attributes(packet):
    """Type, place and value of every attribute."""
    place = 20
    while place + 2 <= len(packet):
        kind, length = packet[place], packet[place + 1]
        if length < 2 or place + length > len(packet):
            raise ValueError("an attribute has a wrong length")
        yield kind, place + 2, packet[place + 2 : place + length]
        place += length


def is_genuine(packet, secret):
    """Whether the request carries the right Message-Authenticator."""
    for kind, place, value in attributes(packet):
        if kind == AUTHENTICATOR and len(value) == 16:
            bare = packet[:place] + bytes(16) + packet[place + 16 :]
            return hmac.compare_digest(hmac.digest(secret, bare, "md5"), value)
    return False


def reveal(hidden, secret, authenticator):
    """The password of PAP (RFC 2865 §5.2)."""
    plain, last = b"", authenticator
    for start in range(0, len(hidden), 16):
        block = hidden[start : start + 16]
        key = hashlib.md5(secret + last).digest()
        plain += bytes(a ^ b for a, b in zip(block, key))
        last = block
    return plain.rstrip(b"\0")


def judge(packet, secret, user, password):
    """How the user proved itself, and whether it did."""
    found = {kind: value for kind, _, value in attributes(packet)}
    authenticator = packet[4:20]
    if CHAP_PASSWORD in found:
        identifier, digest = found[CHAP_PASSWORD][:1], found[CHAP_PASSWORD][1:]
        challenge = found.get(CHAP_CHALLENGE, authenticator)
        right = hashlib.md5(identifier + password + challenge).digest() == digest
        how = "CHAP"
    else:
        right = reveal(found.get(USER_PASSWORD, b""), secret, authenticator) == password
        how = "PAP"
    return how, right and found.get(USER_NAME) == user


def answer(request, code, secret):
    """An answer with Message-Authenticator and response authenticator."""
    head = struct.pack("!BBH", code, request[1], 38)
    bare = head + request[4:20] + bytes([AUTHENTICATOR, 18])
    own = bytes([AUTHENTICATOR, 18]) + hmac.digest(secret, bare + bytes(16), "md5")
    return head + hashlib.md5(head + request[4:20] + own + secret).digest() + own


def main():
    address, secret, user, password = sys.argv[1], *(word.encode() for word in sys.argv[2:5])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 1812))
        print("ready", flush=True)
        while True:
            packet, client = server.recvfrom(4096)
            if packet[0] != REQUEST or not is_genuine(packet, secret):
                print("not a genuine request", flush=True)
                continue
            how, good = judge(packet, secret, user, password)
            print(how, "accepted" if good else "rejected", flush=True)
            server.sendto(answer(packet, ACCEPT if good else REJECT, secret), client)


if __name__ == "__main__":
    main()
