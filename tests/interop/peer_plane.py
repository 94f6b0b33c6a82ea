#!/usr/bin/python3
"""Carries strongSwan's packets where the kernel has no ESP and AH: scapy seals and opens them.

usage: peer_plane.py REQUESTS DEVICE COUNTS

REQUESTS is what xfrm_shim.c writes. Clear packets come and go by the TUN device sw0, protected ones
by DEVICE. Whoever connects to the socket COUNTS reads one line of JSON: every SA that was ever
installed with the packets it carried, and what was refused. One packet at a time: for pings.
"""
import fcntl
import json
import os
import select
import socket
import struct
import subprocess
import sys
import warnings

warnings.filterwarnings("ignore")
from scapy.layers.inet import IP
from scapy.layers.ipsec import AH, ESP, SecurityAssociation
from scapy.packet import Raw

TUN = "sw0"
# Asked for pings to the other router: what transport mode protects, and not ISAKMP.
TABLE = "77"
CIPHERS = {
    "ecb(cipher_null)": "NULL",
    "cipher_null": "NULL",
    "cbc(des)": "DES",
    "des": "DES",
    "cbc(des3_ede)": "3DES",
    "des3_ede": "3DES",
    "cbc(aes)": "AES-CBC",
    "aes": "AES-CBC",
}
MACS = {
    "hmac(md5)": "HMAC-MD5-96",
    "md5": "HMAC-MD5-96",
    "hmac(sha1)": "HMAC-SHA1-96",
    "sha1": "HMAC-SHA1-96",
}
TRANSPORT, TUNNEL = "0", "1"
ESP_NUMBER, AH_NUMBER, UDP_NUMBER = 50, 51, 17
NAT_T = 4500


def ip(words, may_fail=False):
    done = subprocess.run(["ip", *words.split()], stderr=subprocess.PIPE, text=True)
    if done.returncode and not may_fail:
        raise SystemExit(f"ip {words}: {done.stderr.strip()}")


def tun_device():
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    # TUNSETIFF; IFF_TUN and IFF_NO_PI
    fcntl.ioctl(device, 0x400454CA, struct.pack("16sH22x", TUN.encode(), 0x1001))
    ip(f"link set {TUN} mtu 1400 up")
    return device


def own_addresses():
    listed = subprocess.run(["ip", "-4", "-o", "addr"], capture_output=True, text=True, check=True)
    return {line.split()[3].split("/")[0] for line in listed.stdout.splitlines()}


class Sa:
    """One direction, as it was asked for."""

    def __init__(self, words, own):
        self.spi = int(words["spi"], 16)
        self.protocol = int(words["ipsec"])
        self.outbound = words["destination"] not in own
        self.tunnel = words["mode"] == TUNNEL
        self.ends = words["source"], words["destination"]
        self.ports = int(words.get("from_port", 0)), int(words.get("to_port", 0))
        self.packets, self.alive = 0, True
        keys = dict(auth_algo=MACS[words["mac"]], auth_key=bytes.fromhex(words["mac_key"])) if "mac" in words else {}
        if self.protocol == ESP_NUMBER:
            keys.update(crypt_algo=CIPHERS[words["cipher"]], crypt_key=bytes.fromhex(words["cipher_key"]))
        self.names = [keys.get("auth_algo", "NULL"), words.get("mac_key", "")]
        self.names += [keys.get("crypt_algo", "NULL"), words.get("cipher_key", "")]
        if self.tunnel:
            keys["tunnel_header"] = IP(src=self.ends[0], dst=self.ends[1])
        self.cipher = SecurityAssociation({ESP_NUMBER: ESP, AH_NUMBER: AH}[self.protocol], spi=self.spi, **keys)

    def sealed(self, packet):
        """The datagram for the wire."""
        sealed = bytes(self.cipher.encrypt(IP(packet)))
        if self.ports[1]:
            head, payload = IP(sealed), sealed[20:]
            outer = IP(src=head.src, dst=head.dst, tos=head.tos, ttl=head.ttl, proto=UDP_NUMBER)
            # A checksum of zero says that there is none.
            sealed = bytes(outer / Raw(struct.pack("!4H", *self.ports, 8 + len(payload), 0) + payload))
        self.packets += 1
        return sealed

    def opened(self, packet):
        """The clear packet, or an exception."""
        clear = bytes(self.cipher.decrypt(packet))
        self.packets += 1
        return clear

    def told(self):
        return dict(
            spi=f"{self.spi:08x}",
            protocol=self.protocol,
            outbound=self.outbound,
            ends=self.ends,
            ports=self.ports,
            packets=self.packets,
            alive=self.alive,
            keys=self.names,
        )


class Plane:
    def __init__(self, requests, device):
        self.requests = open(requests, "a+")
        self.requests.seek(0)
        self.rest = ""
        self.own = own_addresses()
        self.sas, self.refused = [], []
        self.tun = tun_device()
        self.raw = [socket.socket(socket.AF_INET, socket.SOCK_RAW, number) for number in (ESP_NUMBER, AH_NUMBER)]
        # ESP in UDP: charon has the port, so it is read where the device hands it in.
        self.encapsulated = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self.encapsulated.bind((device, 0x0800))
        self.wire = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def read_requests(self):
        """Everything asked for so far: before every packet, because charon asks before it answers."""
        self.rest += self.requests.read()
        *lines, self.rest = self.rest.split("\n")
        for line in lines:
            verb, *words = line.split()
            getattr(self, "on_" + verb)(dict(word.split("=", 1) for word in words))

    def on_sa(self, words):
        sa = Sa(words, self.own)
        self.sas.append(sa)
        if sa.outbound and not sa.tunnel:
            ip(f"route replace {sa.ends[1]} dev {TUN} src {sa.ends[0]} table {TABLE}")

    def on_gone(self, words):
        for sa in self.sas:
            if sa.alive and sa.spi == int(words["spi"], 16) and sa.ends[1] == words["destination"]:
                sa.alive = False
                if sa.outbound and not sa.tunnel and not self.outbound():
                    ip(f"route del {sa.ends[1]} dev {TUN} table {TABLE}", may_fail=True)

    def on_policy(self, words):
        # Outbound tunnels; transport mode is routed with its SA.
        if words["way"] == "1" and words["to"].split("/")[0] not in self.outer():
            ip(f"route replace {words['to']} dev {TUN}")

    def on_nopolicy(self, words):
        if words["way"] == "1":
            ip(f"route del {words['to']} dev {TUN}", may_fail=True)

    def outer(self):
        return {end for sa in self.sas for end in sa.ends}

    def outbound(self):
        """The newest SA to send on."""
        return next((sa for sa in reversed(self.sas) if sa.alive and sa.outbound), None)

    def send(self, packet):
        sa = self.outbound()
        if packet[0] >> 4 != 4:
            return
        if sa is None:
            self.refused.append("a clear packet found no SA")
            return
        self.wire.sendto(sa.sealed(packet), (sa.ends[1], 0))

    def receive(self, packet):
        head = IP(packet)
        at = head.ihl * 4 + (4 if head.proto == AH_NUMBER else 0)
        spi = int.from_bytes(packet[at : at + 4], "big")
        match = (sa for sa in reversed(self.sas) if sa.alive and not sa.outbound and sa.spi == spi)
        sa = next((sa for sa in match if sa.protocol == head.proto), None)
        if sa is None:
            self.refused.append(f"no SA {head.proto} {spi:08x}")
            return
        try:
            clear = sa.opened(head)
        except Exception as error:
            self.refused.append(f"SA {spi:08x}: {type(error).__name__} {error}")
            return
        os.write(self.tun, clear)

    def receive_encapsulated(self):
        packet, (_, _, kind, *_) = self.encapsulated.recvfrom(65535)
        head = IP(packet)
        if kind == socket.PACKET_OUTGOING or head.proto != UDP_NUMBER:
            return
        at = head.ihl * 4
        ports, payload = struct.unpack("!2H", packet[at : at + 4]), packet[at + 8 : head.len]
        if ports[1] != NAT_T or len(payload) <= 4 or payload[:4] == bytes(4):
            return
        outer = IP(src=head.src, dst=head.dst, tos=head.tos, ttl=head.ttl, proto=ESP_NUMBER)
        self.receive(bytes(outer / payload))

    def serve(self, counts):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(counts)
        listener.listen()
        inputs = [self.tun, *self.raw, self.encapsulated, listener]
        while True:
            for ready in select.select(inputs, [], [], 0.05)[0]:
                self.read_requests()
                if ready == self.tun:
                    self.send(os.read(self.tun, 65535))
                elif ready is listener:
                    with listener.accept()[0] as asker:
                        told = dict(sas=[sa.told() for sa in self.sas], refused=self.refused)
                        asker.sendall(json.dumps(told).encode())
                elif ready is self.encapsulated:
                    self.receive_encapsulated()
                else:
                    self.receive(ready.recv(65535))
            self.read_requests()


if __name__ == "__main__":
    Plane(*sys.argv[1:3]).serve(sys.argv[3])
