"""Network namespaces, the programs in them, and what passed on the WAN between the two routers.

    host H --- U (our gateway) === N (the Internet, or a NAT) === R (the peer) --- G host

N knows ways to both LANs: what is not protected does arrive, and is seen.
"""
import ctypes
import os
import select
import signal
import socket
import struct
import subprocess
import time

US_LAN, US_HOST, US_NET = "192.168.10.1", "192.168.10.10", "192.168.10.0"
PEER_LAN, PEER_HOST, PEER_NET = "192.168.20.1", "192.168.20.10", "192.168.20.0"
US_WAN, US_GATE = "198.51.100.1", "198.51.100.254"
PEER_WAN, PEER_GATE = "203.0.113.1", "203.0.113.254"
# Every ping is filled with it, and usually has so many bytes of data and so many in all.
MARKER = b"sekisho-in-clear"
PING_DATA = 56
PING_LENGTH = PING_DATA + 28

SETTINGS = "net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 net.ipv4.conf.all.rp_filter=0"
TOPOLOGY = f"""
link add wan netns U type veth peer name us netns N
link add wan netns R type veth peer name peer netns N
link add lan netns U type veth peer name eth0 netns H
link add lan netns R type veth peer name eth0 netns G
-n U link set lo up
-n N link set lo up
-n R link set lo up
-n U link set wan up
-n U link set lan up
-n R link set wan up
-n R link set lan up
-n N link set us up
-n N link set peer up
-n H link set eth0 up
-n G link set eth0 up
-n N addr add {US_GATE}/24 dev us
-n N addr add {PEER_GATE}/24 dev peer
-n N route add {US_NET}/24 via {US_WAN} dev us
-n N route add {PEER_NET}/24 via {PEER_WAN} dev peer
-n H addr add {US_HOST}/24 dev eth0
-n H route add default via {US_LAN}
-n G addr add {PEER_HOST}/24 dev eth0
-n G route add default via {PEER_LAN}
"""
# Where the peer is not one of our gateways, which brings its own addresses.
PEER_ADDRESSES = f"""
-n R addr add {PEER_WAN}/24 dev wan
-n R addr add {PEER_LAN}/24 dev lan
-n R route add default via {PEER_GATE}
"""

# The vendor IDs of NAT traversal, the newest version first.
NAT_T_VERSIONS = {
    "rfc": ["4a131c81070358455c5728f20e95452f"],
    "08": ["8f8d83826d246b6fc7a8a6a428c11de8", "810fa565f8ab14369105d706fbd57279"],
    "03": ["7d9419a65310ca6f2c179d9215529d56"],
    "02": ["cd60464335df21f87cfdb2fc68b6a448", "90cb80913ebb696e086381b5ec427b1f"],
}
# Where a vendor ID of main mode may stand behind the header of UDP: payloads have lengths of whole words.
VENDOR_IDS = range(8 + 28 + 4, 400, 4)

NO_ERRORS = """table ip errors {
 chain out {
  type filter hook output priority 0;
  icmp type destination-unreachable drop
 }
}
"""


# The subjects of both certificates.
SUBJECTS = {side: f"C=JP, O=Example, CN={side}" for side in ("us", "peer")}


def identities(scenario):
    """Who we and the peer say that we are: addresses or the subjects of certificates, but names where a NAT
    changes addresses."""
    if scenario.certified and scenario.nat == "none":
        return SUBJECTS["us"], SUBJECTS["peer"]
    return (US_WAN, PEER_WAN) if scenario.nat == "none" else ("us.example", "peer.example")


class Trouble(Exception):
    """A scenario did not go as it should; the text says what happened."""


def run(*words, timeout=20, text=None, check=True):
    """Runs a program to its end; returns what it printed."""
    done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=timeout, check=False)
    if check and done.returncode:
        told = (done.stdout + done.stderr).strip()
        raise Trouble(f"{' '.join(words)}: {told[-400:]}")
    return done.stdout + done.stderr


def wait_for(what, found, seconds=10.0):
    """Asks `found` until it answers with something true, and returns that."""
    end = time.monotonic() + seconds
    while not (got := found()):
        if time.monotonic() > end:
            raise Trouble(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(0.05)
    return got


class Program:
    """A program in the background, ended by its own process id."""

    def __init__(self, words, log, environment=None):
        self.log = log
        with open(log, "ab") as out:
            surroundings = {**os.environ, **(environment or {})}
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=surroundings
            )

    def end(self, how=signal.SIGTERM, patience=5):
        """Ends it; returns its exit status."""
        if self.process.poll() is None:
            self.freeze(False)
            self.process.send_signal(how)
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    def freeze(self, stopped=True):
        """Lets it do nothing, or go on."""
        self.process.send_signal(signal.SIGSTOP if stopped else signal.SIGCONT)

    def wait_until(self, what, found, seconds=10):
        def alive_and_found():
            if self.process.poll() is not None:
                raise Trouble(f"{what}: ended with {self.process.returncode}: {self.tail(5)}")
            return found()

        return wait_for(what, alive_and_found, seconds)

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def tail(self, lines=25):
        return "\n".join(self.text().splitlines()[-lines:])


def socket_inside(namespace, *kind):
    """A socket of a network namespace: it belongs to the one in which it was made."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as here, open(f"/run/netns/{namespace}") as there:
        if libc.setns(there.fileno(), 0):
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
        try:
            return socket.socket(*kind)
        finally:
            libc.setns(here.fileno(), 0)


def forget_connections(namespace):
    """What a NAT has translated so far it would go on translating, whatever its rules say."""
    with socket_inside(namespace, socket.AF_NETLINK, socket.SOCK_RAW, 12) as netfilter:
        # IPCTNL_MSG_CT_DELETE of NFNL_SUBSYS_CTNETLINK for everything; a request to be acknowledged.
        netfilter.send(struct.pack("=IHHIIBBH", 20, 1 << 8 | 2, 5, 1, 0, 0, 0, 0))
        error = struct.unpack("=i", netfilter.recv(1024)[16:20])[0]
    if error:
        raise OSError(-error, "connections of a NAT")


class Tap:
    """All frames of one device."""

    def __init__(self, namespace, device):
        self.socket = socket_inside(namespace, socket.AF_PACKET, socket.SOCK_RAW, 0)
        # SO_RCVBUFFORCE and SO_TIMESTAMPNS
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)
        self.socket.setsockopt(socket.SOL_SOCKET, 35, 1)
        # ETH_P_ALL
        self.socket.bind((device, 3))
        self.socket.setblocking(False)

    def frames(self):
        """What was seen since the last call, as (time, bytes)."""
        frames = []
        while True:
            try:
                frame, extra, _, _ = self.socket.recvmsg(65535, 64)
            except BlockingIOError:
                break
            stamp = next((data for level, kind, data in extra if level == socket.SOL_SOCKET and kind == 35), bytes(16))
            frames.append((struct.unpack("@qq", stamp[:16]), frame))
        # SOL_PACKET, PACKET_STATISTICS
        if struct.unpack("@II", self.socket.getsockopt(263, 6, 8))[1]:
            raise Trouble("the capture of the WAN lost frames")
        return frames

    def close(self):
        self.socket.close()


def write_pcap(path, frames):
    with open(path, "wb") as out:
        # Nanoseconds, Ethernet.
        out.write(struct.pack("=IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1))
        for (seconds, nanos), frame in frames:
            out.write(struct.pack("=IIII", seconds, nanos, len(frame), len(frame)) + frame)


def checksum(message):
    """That of the Internet, over an even number of bytes."""
    total = sum(struct.unpack(f"!{len(message) // 2}H", message))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


def kind_of(frame):
    """isakmp, esp, ah, clear, or None for what IP itself needs to find its way."""
    if frame[12:14] != b"\x08\x00":
        return None if frame[12:14] == b"\x08\x06" else "clear"
    packet = frame[14:]
    protocol, payload = packet[9], packet[(packet[0] & 15) * 4 :]
    if protocol in (50, 51):
        return "esp" if protocol == 50 else "ah"
    if protocol == 17 and len(payload) >= 8:
        ports = struct.unpack("!2H", payload[:4])
        if 500 in ports:
            return "isakmp"
        if 4500 in ports:
            data = payload[8:]
            return "isakmp" if data[:4] == bytes(4) or data == b"\xff" else "esp"
    return "clear"


def hidden_versions(newest):
    """Rules that put zeros in place of the vendor IDs of all versions newer than one."""
    order = list(NAT_T_VERSIONS)
    hidden = [vendor for version in order[: order.index(newest)] for vendor in NAT_T_VERSIONS[version]]
    change = "udp dport 500 @th,{0},128 0x{1} @th,{0},128 set 0 udp checksum set 0"
    lines = [change.format(at * 8, vendor) for vendor in hidden for at in VENDOR_IDS]
    return "table ip versions {\n chain on_the_way {\n  type filter hook prerouting priority -300;\n" + "".join(
        f"  {line}\n" for line in lines
    ) + " }\n}"


class World:
    """The namespaces for one scenario after the other."""

    def __init__(self, letter, directory, rsa, peer_has_addresses):
        self.directory = directory
        # RSA keys of both sides: us.key, us.pub, peer.key, peer.pub.
        self.rsa = rsa
        self.names = {role: f"si{os.getpid()}{letter}{role}" for role in "HUNRG"}
        self.translates = ("none", "rfc")
        self.taps = []
        try:
            for name in self.names.values():
                run("ip", "netns", "add", name)
                run("ip", "netns", "exec", name, "sysctl", "-qw", *SETTINGS.split())
            self.ip(TOPOLOGY)
            if peer_has_addresses:
                self.ip(PEER_ADDRESSES)
                self.inside("R", "sysctl", "-qw", "net.ipv4.ip_forward=1")
                # Its kernel knows no ESP and would tell so.
                self.inside("R", "nft", "-f", "-", text=NO_ERRORS)
            self.inside("N", "sysctl", "-qw", "net.ipv4.ip_forward=1")
            self.taps = [Tap(self.names["N"], device) for device in ("us", "peer")]
        except BaseException:
            self.close()
            raise

    def ip(self, commands):
        """Runs `ip` once a line, with the letters of namespaces in place of their names."""
        for line in commands.strip().splitlines():
            run("ip", *(self.names.get(word, word) for word in line.split()))

    def inside(self, role, *words, **more):
        return run(*self.enter(role), *words, **more)

    def enter(self, role):
        return ["ip", "netns", "exec", self.names[role]]

    def translate(self, side, newest="rfc"):
        """Puts `us`, `peer`, `both` or `none` behind a NAT that changes ports. What comes to the
        ports of ISAKMP from the other side is let in, so that either side may begin. Vendor IDs of
        NAT traversal that is newer than `newest` are made unreadable on the way."""
        if (side, newest) == self.translates:
            return
        rules = ["flush ruleset"]
        ends = dict(us=("us", "peer", US_WAN), peer=("peer", "us", PEER_WAN))
        for inner, outer, address in (ends[s] for s in ("us", "peer") if side in (s, "both")):
            rules.append(
                f"table ip {inner} {{\n"
                f"chain out {{\n type nat hook postrouting priority 100;\n"
                f"  iifname {inner} oifname {outer} ip protocol udp masquerade to :20000-30000\n"
                f"  iifname {inner} oifname {outer} masquerade\n }}\n"
                f"chain in {{\n type nat hook prerouting priority -100;\n"
                f"  iifname {outer} udp dport {{ 500, 4500 }} dnat to {address}\n }}\n}}"
            )
        rules.append(hidden_versions(newest))
        self.inside("N", "nft", "-f", "-", text="\n".join(rules) + "\n")
        forget_connections(self.names["N"])
        self.translates = (side, newest)

    def seen(self):
        """What both sides of N saw since the last call."""
        return [tap.frames() for tap in self.taps]

    def ping(self, source, to, count, size=PING_DATA, wait=5.0):
        """How many of `count` echo requests were answered; waits for late answers too."""
        ours, left = os.urandom(2), set(range(1, count + 1))
        data = (MARKER * (size // len(MARKER) + 1))[:size]
        with socket_inside(self.names[source], socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as echo:

            def listen(seconds):
                end = time.monotonic() + seconds
                while left and (rest := end - time.monotonic()) > 0:
                    if select.select([echo], [], [], rest)[0]:
                        message = echo.recv(65535)[20:]
                        if message[0] == 0 and message[4:6] == ours and message[8:] == data:
                            left.discard(int.from_bytes(message[6:8], "big"))

            for number in range(1, count + 1):
                message = struct.pack("!BBH2sH", 8, 0, 0, ours, number) + data
                message = message[:2] + checksum(message) + message[4:]
                echo.sendto(message, (to, 0))
                listen(0.02)
            listen(wait)
        return count - len(left)

    def ping_until_answered(self, source, to, seconds=10):
        """Whether a ping was answered in time. The first may find one side ready and the other not."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.ping(source, to, 1, wait=0.5):
                return True
        return False

    def close(self):
        for tap in self.taps:
            tap.close()
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
