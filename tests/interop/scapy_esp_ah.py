#!/usr/bin/python3
"""Scapy as the other end of every legal ESP, AH and ESP+AH suite with manual keys.

usage: scapy_esp_ah.py PACKET-PEER [PACKETS [VERSION]]

For each suite and mode and both IP versions, or one, PACKETS (default 100) random packets each way: what the router
seals scapy opens, what scapy seals the router opens; the packet that comes out must be the one
that went in. A packet that was tampered with must come out on neither side.
"""
import itertools
import random
import subprocess
import sys
import warnings

warnings.filterwarnings("ignore")
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP, IPOption_Router_Alert
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrHopByHop, PadN
from scapy.layers.ipsec import AH, ESP, AuthAlgo, SecurityAssociation
from scapy.packet import Raw

# The router's word, scapy's word, key length, key type.
CIPHERS = {
    "NULL": ("NULL", 0, None),
    "DES": ("DES", 8, "DES"),
    "3DESOUTER": ("3DES", 24, "3DES"),
    "AES128": ("AES-CBC", 16, "AES"),
    "AES192": ("AES-CBC", 24, "AES"),
    "AES256": ("AES-CBC", 32, "AES"),
}
MACS = {"NULL": ("NULL", 0), "MD5": ("HMAC-MD5-96", 16), "SHA": ("HMAC-SHA1-96", 20)}
NETS = {
    4: dict(l3=IP, own="1.1.1.1", peer="2.2.2.2", lan="10.1.0.", rlan="10.2.0.", any="ROUTE=0.0.0.0"),
    6: dict(l3=IPv6, own="2001:db8::1", peer="2001:db8::2", lan="fd00:1::", rlan="fd00:2::", any="ROUTE=::/0"),
}


class Router:
    """The router under test, line by line."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = []
        while (got := self.process.stdout.readline().rstrip("\n")) != ".":
            if not got:
                raise SystemExit(f"the router died of: {line[:200]}")
            answer.append(got)
        return answer

    def do(self, line):
        answer = self.tell("do " + line)
        if answer:
            raise SystemExit(f"{line}\n  {answer}")

    def packet(self, way, packet):
        """The one thing that became of a packet, as kind and bytes or reason."""
        answer = self.tell(f"{way} {bytes(packet).hex()}")
        if len(answer) != 1:
            return "several", answer
        kind, rest = answer[0].split(" ", 1)
        return kind, bytes.fromhex(rest) if kind in ("wire", "lan") else rest


def key(rng, length, kind):
    while True:
        value = rng.randbytes(length)
        # Weak DES keys and 3DES keys with equal parts are refused, and rightly.
        if kind != "3DES" or len({value[:8], value[8:16], value[16:]}) == 3:
            return value


def suites():
    esp = [(c, m) for c in CIPHERS for m in MACS if (c, m) != ("NULL", "NULL")]
    ah = [m for m in MACS if m != "NULL"]
    yield from (("ESP", c, m, None) for c, m in esp)
    yield from (("AH", None, None, a) for a in ah)
    yield from (("ESP+AH", c, m, a) for (c, m), a in itertools.product(esp, ah))


def configure(router, rng, suite, mode, version):
    """Gives the router its commands; returns scapy's SAs for both directions, innermost first."""
    what, cipher, mac, ah = suite
    net = NETS[version]
    router.tell("reset")
    if version == 4:
        router.do(f"ADD IP INT=ppp0 IP={net['own']} MASK=255.255.255.255")
    else:
        router.do(f"ADD IPV6 INT=ppp0 IP={net['own']}/64")
    router.do(f"ADD IP{'V6' if version == 6 else ''} {net['any']} INT=ppp0")
    specs, sas = [], {"out": [], "in": []}
    outer = lambda way: net["l3"](**dict(zip(("src", "dst"), (net["own"], net["peer"])[:: 1 if way == "out" else -1])))
    keys = itertools.count(1)

    def enco(kind, value):
        number = next(keys)
        router.do(f"CREATE ENCO KEY={number} TYPE={kind} VALUE=0x{value.hex()}")
        return number

    for place, protocol in enumerate(what.split("+"), start=1):
        hashalg = mac if protocol == "ESP" else ah
        line = f"CREATE IPSEC SASPEC={place} KEYMAN=MANUAL PROTO={protocol} MODE={mode} HASHALG={hashalg}"
        line += f" INSPI={1000 * place} OUTSPI={1000 * place + 1}"
        auth, length = MACS[hashalg]
        words = dict(auth_algo=auth, auth_key=rng.randbytes(length))
        if length:
            line += f" HASHKEY={enco('GENERAL', words['auth_key'])}"
        if protocol == "ESP":
            crypt, length, kind = CIPHERS[cipher]
            words.update(crypt_algo=crypt, crypt_key=key(rng, length, kind))
            line += f" ENCALG={cipher}" + (f" ENCKEY={enco(kind, words['crypt_key'])}" if kind else "")
        router.do(line)
        specs.append(str(place))
        for way, spi in (("out", 1000 * place + 1), ("in", 1000 * place)):
            tunnel = dict(tunnel_header=outer(way)) if mode == "TUNNEL" and place == 1 else {}
            sas[way].append(SecurityAssociation(dict(ESP=ESP, AH=AH)[protocol], spi=spi, **words, **tunnel))
    router.do(f'CREATE IPSEC BUNDLE=1 KEYMAN=MANUAL STRING="{" AND ".join(specs)}"')
    line = f"CREATE IPSEC POLICY=vpn INT=ppp0 ACTION=IPSEC IPVERSION={version} KEYMAN=MANUAL BUNDLE=1 PEER={net['peer']}"
    if mode == "TUNNEL" and version == 4:
        mask = "255.255.255.0"
        line += f" LAD={net['lan']}0 LMA={mask} RAD={net['rlan']}0 RMA={mask}"
    elif mode == "TUNNEL":
        line += f" LAD={net['lan']}/64 RAD={net['rlan']}/64"
    else:
        line += f" LAD={net['own']} RAD={net['peer']}"
    router.do(line)
    router.do("ENABLE IPSEC")
    return sas


def random_packet(rng, way, mode, version):
    net = NETS[version]
    if mode == "TUNNEL":
        ends = [net["lan"] + str(rng.randint(2, 99)), net["rlan"] + str(rng.randint(2, 99))]
    else:
        ends = [net["own"], net["peer"]]
    if way == "in":
        ends.reverse()
    src, dst = ends
    head = []
    if version == 4:
        options = [] if rng.random() < 0.8 else [IPOption_Router_Alert(), IPOption_NOP()] * rng.randint(1, 2)
        l3 = IP(src=src, dst=dst, tos=rng.randrange(64) << 2, ttl=rng.randint(2, 255), id=rng.randrange(65536), options=options)
    else:
        l3 = IPv6(src=src, dst=dst, tc=rng.randrange(64) << 2, fl=rng.randrange(1 << 20), hlim=rng.randint(2, 255))
        if rng.random() < 0.2:
            head.append(IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))]))
    data = Raw(rng.randbytes(rng.choice((0, 1, rng.randint(2, 64), rng.randint(65, 1300)))))
    port = lambda: rng.randrange(1, 65536)
    l4 = rng.choice((
        lambda: UDP(sport=port(), dport=port()),
        lambda: TCP(sport=port(), dport=port(), seq=rng.randrange(1 << 32)),
        (lambda: ICMP(type=8, id=port(), seq=1)) if version == 4 else (lambda: ICMPv6EchoRequest(id=port(), seq=1)),
    ))()
    packet = l3
    for header in head:
        packet /= header
    packet /= l4 / data
    return net["l3"](bytes(packet))


def cover_esp_by_ah(method):
    """AuthAlgo.sign and verify take an ESP layer behind an AH for what is to be authenticated: here
    they see it as plain bytes."""

    def wrapper(self, packet, *rest, **words):
        if packet.haslayer(AH) and packet.haslayer(ESP):
            ah = packet[AH]
            payload = bytes(ah.payload)
            ah.remove_payload()
            ah.add_payload(Raw(payload))
        return method(self, packet, *rest, **words)

    return wrapper


AuthAlgo.sign = cover_esp_by_ah(AuthAlgo.sign)
AuthAlgo.verify = cover_esp_by_ah(AuthAlgo.verify)


def main():
    router = Router(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    versions = [int(sys.argv[3])] if len(sys.argv) > 3 else [4, 6]
    total = bad = 0
    for version, mode, suite in itertools.product(versions, ("TUNNEL", "TRANSPORT"), suites()):
        name = f"IPv{version} {mode:9} {suite[0]:6} {'/'.join(filter(None, suite[1:]))}"
        rng = random.Random(name)
        sas = configure(router, rng, suite, mode, version)
        l3 = NETS[version]["l3"]
        faults = []
        for number in range(1, count + 1):
            # We seal, scapy opens.
            clear = random_packet(rng, "out", mode, version)
            kind, wire = router.packet("out", clear)
            if kind != "wire":
                faults.append(f"packet {number} was not sealed: {kind} {wire}")
                continue
            try:
                opened = l3(wire)
                for sa in reversed(sas["out"]):
                    opened = sa.decrypt(l3(bytes(opened)))
                if bytes(opened) != bytes(clear):
                    faults.append(f"packet {number} is another one: {clear!r} became {opened!r}")
            except Exception as error:
                faults.append(f"scapy does not open packet {number}: {type(error).__name__} {error} {clear!r}")
            # Scapy seals, we open.
            clear = random_packet(rng, "in", mode, version)
            sealed = l3(bytes(clear))
            for sa in sas["in"]:
                sealed = l3(bytes(sa.encrypt(sealed, seq_num=number)))
            kind, got = router.packet("in", sealed)
            if kind != "lan" or got != bytes(clear):
                faults.append(f"the router does not open packet {number}: {kind} {got!r} of {clear!r}")
            # One bit is wrong: nobody may take it, if anything authenticates it.
            if "NULL" != (suite[2] or "") or suite[3]:
                broken = bytearray(bytes(sealed))
                broken[-1 - rng.randrange(12)] ^= 1 << rng.randrange(8)
                kind, got = router.packet("in", bytes(broken))
                if kind != "drop":
                    faults.append(f"the router takes a forged packet {number}: {kind}")
        total += 1
        bad += bool(faults)
        if faults:
            print(f"BAD {name}: {len(faults)} of {count}; {faults[0][:400]}")
    over = " and ".join(f"IPv{version}" for version in versions)
    print(f"  scapy over {over}: {total} suites, {count} packets each way, {bad} bad")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
