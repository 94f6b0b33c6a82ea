"""One scenario from beginning to end: bring up, traffic, actions, end, and what the WAN saw."""
import signal
import socket
import time

from . import readers, scanner
from . import world as net
from .gateway import Gateway, GatewayPeer, Radius
from .strongswan import GROUPS, IKE, MACS, StrongSwan
from .world import Trouble, kind_of, wait_for, write_pcap

# Pings each way whenever traffic is to be proven.
PINGS = 4


class Row:
    """What the table tells of a scenario."""

    def __init__(self, scenario):
        self.scenario = scenario
        self.negotiated = "-"
        self.pings = [0, 0, 0]
        # Packets: sent and received by us, sent and received by the peer.
        self.packets = [0, 0, 0, 0]
        self.wan = {}
        self.read = "-"
        self.trouble = None
        self.details = ""
        self.seconds = 0.0

    def cells(self):
        sent, out, back = self.pings
        wan = "/".join(str(self.wan.get(kind, 0)) for kind in ("isakmp", "esp", "ah", "clear"))
        ours, theirs = (f"{self.packets[at]}>{self.packets[at + 1]}" for at in (0, 2))
        traffic = f"{out}+{back} of {2 * sent}" if sent else "-"
        result = "ok" if self.trouble is None else f"FAILED: {self.trouble}"
        return [self.scenario.name, self.negotiated, traffic, ours, theirs, wan, self.read, f"{self.seconds:.1f}", result]


class Trial:
    """A scenario under way."""

    def __init__(self, scenario, world, peer, directory):
        self.scenario, self.world, self.peer, self.directory = scenario, world, peer, directory
        self.ours = Gateway(world, "us")
        self.radius = None
        self.row = Row(scenario)
        self.transport = scenario.mode == "transport"
        self.frames = [[], []]

    def run(self):
        """Does everything; the row says how it went."""
        began = time.monotonic()
        try:
            self.world.translate(self.scenario.nat, self.scenario.natt)
            self.world.ip("-n N neigh flush all")
            self.world.seen()
            try:
                if self.scenario.users != "local":
                    self.radius = Radius(self.world, self.scenario)
                if self.peer:
                    self.peer.start(self.scenario)
                self.ours.start(self.scenario)
                self.steps()
                if self.radius:
                    self.radius.check()
                self.ours.end()
                if self.peer:
                    self.peer.wait_for_nothing()
            finally:
                self.hear()
            self.judge()
        except Exception as error:
            self.row.trouble = str(error) if isinstance(error, Trouble) else f"{type(error).__name__}: {error}"
            self.row.details = f"--- us\n{self.ours.tail()}\n--- peer\n{self.peer.tail() if self.peer else ''}"
        finally:
            self.clean()
        self.row.seconds = time.monotonic() - began
        return self.row

    def clean(self):
        try:
            if self.radius:
                self.radius.end()
            self.ours.end(signal.SIGKILL)
            if isinstance(self.peer, StrongSwan):
                self.peer.finish()
            elif self.peer:
                self.peer.end(signal.SIGKILL)
        except Exception as error:
            self.row.trouble = self.row.trouble or f"cleaning up: {error}"

    def steps(self):
        if self.scenario.peer == "ike-scan":
            self.probe()
            return
        if self.scenario.expect == "clear":
            answered = self.world.ping("H", net.PEER_HOST, PINGS)
            self.row.pings = [0, answered, 0]
            if answered != PINGS:
                raise Trouble("not even clear packets pass")
            return
        self.bring_up()
        self.check_agreement()
        self.traffic("at first")
        for action in self.scenario.actions:
            verb, _, side = action.rpartition("-")
            getattr(self, verb.replace("-", "_"))(side)
            self.check_agreement()
            self.traffic(f"after {action}")

    def probe(self):
        """A stranger's first message, and what comes back."""
        answer = scanner.ask(self.world, self.scenario)
        self.row.negotiated = answer.text
        if answer.kind != self.scenario.expect:
            raise Trouble(f"{answer.kind} instead of {self.scenario.expect}: {answer.text}")

    def bring_up(self, side=None):
        by_peer = (side or self.scenario.start) == "peer"
        if by_peer and isinstance(self.peer, StrongSwan):
            self.peer.bring_up()
        elif not self.world.ping_until_answered(*(self.way_back if by_peer else self.way_out)):
            raise Trouble("no ping was answered")

    @property
    def way_out(self):
        """From where to where a ping goes through the tunnel, or in transport mode."""
        return ("U", self.peer_address) if self.transport else ("H", net.PEER_HOST)

    @property
    def way_back(self):
        return ("R", self.our_address) if self.transport else ("G", net.US_HOST)

    @property
    def peer_address(self):
        return net.US_GATE if self.scenario.nat in ("peer", "both") else net.PEER_WAN

    @property
    def our_address(self):
        return net.PEER_GATE if self.scenario.nat in ("us", "both") else net.US_WAN

    def traffic(self, when):
        """Pings both ways, which the counters of both sides must confirm packet by packet."""
        before = [*self.ours.counts(), *self.peer.counts()]
        out, back = self.world.ping(*self.way_out, PINGS), self.world.ping(*self.way_back, PINGS)
        after = [*self.ours.counts(), *self.peer.counts()]
        grown = [sum(now[spi] - then.get(spi, 0) for spi in now) for then, now in zip(before, after)]
        self.row.pings = [self.row.pings[0] + PINGS, self.row.pings[1] + out, self.row.pings[2] + back]
        self.row.packets = [sum(pair) for pair in zip(self.row.packets, grown)]
        if (out, back) != (PINGS, PINGS):
            raise Trouble(f"{when}: {out} and {back} of {PINGS} pings were answered")
        if grown[0] != grown[3] or grown[1] != grown[2] or min(grown) < 2 * PINGS:
            raise Trouble(f"{when}: we sent {grown[0]}, received {grown[1]}; the peer sent {grown[2]}, received {grown[3]}")
        # Not some other SA of the peer: the very one.
        for ours, theirs in ((after[0], after[3]), (after[1], after[2])):
            if not set(ours) & set(theirs):
                raise Trouble(f"{when}: the two sides have no SA in common")

    def check_agreement(self):
        """Both sides say that they agreed on what the scenario names."""
        cipher, mac, group = self.scenario.phase1
        if isinstance(self.peer, GatewayPeer):
            ours, theirs = (sorted(side.isakmp_sas())[-1:] for side in (self.ours, self.peer))
            if ours != theirs or not ours:
                raise Trouble(f"we say {ours}, the peer {theirs}")
            self.row.negotiated = "/".join(ours[0]).replace(" ", "")
            return
        kind, esp_cipher, esp_mac = self.scenario.protocols[0]
        pfs = GROUPS.get(self.scenario.pfs, "")
        wanted = f"{IKE[cipher]}/{MACS[mac]}/{GROUPS[group]}", f"{IKE.get(esp_cipher, '')}/{MACS[esp_mac]}/{pfs}"
        agreed = self.peer.agreed()
        if agreed != wanted:
            raise Trouble(f"the peer says {agreed}, not {wanted}")
        self.row.negotiated = f"{agreed[0]} {kind}:{agreed[1].strip('/')}"

    def our_spis(self):
        return {sa["out"] for sa in self.ours.sas() if sa["state"] == "Valid"}

    def rekey(self, side):
        old = self.our_spis()
        if side == "us":
            # The bundle's life in kilobytes comes to its soft end meanwhile.
            count = 150
            answered = self.world.ping(*self.way_out, count, size=400)
            if answered != count:
                raise Trouble(f"{answered} of {count} pings were answered while the SA was renewed")
        else:
            self.peer.rekey()
        wait_for(f"a new SA after rekey-{side}", lambda: self.our_spis() - old)

    def isakmp_rekey(self, side):
        cookies = self.peer.cookies()
        if side == "peer":
            self.peer.isakmp_rekey()
        # Each new bundle fills some of the kilobyte that our ISAKMP SA may carry.
        for _ in range(8 if side == "us" else 0):
            if self.peer.cookies() - cookies:
                break
            self.delete(side)
        wait_for("a new ISAKMP SA", lambda: self.peer.cookies() - cookies)

    def delete(self, side):
        if side == "us":
            self.ours.do("RESET IPSEC POLICY=vpn")
            wait_for("the peer's SA going", lambda: self.peer.sa_count() == 0)
        else:
            self.peer.delete()
            wait_for("our SA going", lambda: not self.ours.sas())
        self.bring_up()

    def delete_isakmp(self, side):
        if side == "us":
            self.ours.do("RESET IPSEC POLICY=vpn")
            self.ours.do("DISABLE ISAKMP")
            self.peer.wait_for_nothing()
            self.ours.do("ENABLE ISAKMP")
        else:
            self.peer.delete_isakmp()
            wait_for("our SAs going", self.ours.has_nothing)
        self.bring_up()

    def restart(self, _):
        """We die without a word and come back; the peer must not keep what was before."""
        self.ours.end(signal.SIGKILL)
        self.ours.begin()
        self.bring_up("us")
        # Some keep what was replaced for a while.
        wait_for("the peer keeping one ISAKMP SA only", lambda: self.peer.isakmp_count() == 1, 20)
        wait_for("the peer keeping one SA pair only", lambda: self.peer.sa_count() == 1)

    def dpd(self, side):
        """The other side falls silent, and this one notices."""
        wait_for(f"an answer to a probe of {side}", lambda: self.peer.was_answered(side))
        awake, silent = (self.ours, self.peer) if side == "us" else (self.peer, self.ours)
        silent.freeze()
        try:
            wait_for(f"{side} taking the other for dead", awake.has_nothing, 30)
        finally:
            silent.freeze(False)
        wait_for("the one that was silent noticing too", silent.has_nothing, 30)
        self.bring_up(side)

    def hear(self):
        """Takes down what passed on both sides of the Internet."""
        self.frames = self.world.seen()
        for side, frames in zip(("us", "peer"), self.frames):
            write_pcap(self.capture(side), frames)

    def capture(self, side):
        return self.directory / f"{self.scenario.name}.{side}.pcap"

    def judge(self):
        """The WAN carried what it may carry, and an independent reader can read it."""
        for side, frames in zip(("us", "peer"), self.frames):
            kinds = [(kind_of(frame), frame) for _, frame in frames]
            for kind in ("isakmp", "esp", "ah", "clear"):
                count = sum(found == kind for found, _ in kinds)
                self.row.wan[kind] = max(count, self.row.wan.get(kind, 0))
            secret = self.scenario.secret and self.scenario.expect != "clear"
            if secret and any(net.MARKER in frame for _, frame in kinds):
                raise Trouble(f"what the pings carry can be read on the WAN, on the side of {side}")
        clear = self.row.wan["clear"]
        if self.scenario.expect == "clear":
            if clear < 2 * PINGS:
                raise Trouble(f"{clear} clear packets were seen on the WAN: this harness is blind")
            return
        if clear:
            raise Trouble(f"{clear} clear packets were seen on the WAN")
        sources = {frame[26:30] for _, frame in self.frames[0] if kind_of(frame) == "isakmp"}
        if self.scenario.expect == "silence" and socket.inet_aton(net.US_WAN) in sources:
            raise Trouble("the gateway was not silent")
        if self.peer is None:
            return
        installed = self.peer.installed() if isinstance(self.peer, StrongSwan) else None
        self.row.read = readers.check(self.scenario, self.capture("us"), self.ours.keys, installed)
