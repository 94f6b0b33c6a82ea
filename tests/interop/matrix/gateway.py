"""A router under test: `gateway run` in a namespace, its configuration, and what its screens say."""
import pathlib
import re
import shutil
import signal

from . import world as net
from .world import Program, Trouble, run, wait_for

PROGRAM = pathlib.Path(__file__).parents[3] / "target/release/gateway"
SECRET = "correct horse"
USER, PASSWORD = "carol", "4iChxLT3"
RADIUS_SECRET = "xyzzy5461"
# Kilobytes after which a bundle is renewed, where the scenario wants to see that. Between the soft
# and the hard limit a busy machine needs some time to negotiate.
RENEWAL = 64

CIPHER_WORDS = {"null": "NULL", "des": "DES", "3des": "3DESOUTER", "aes128": "AES128", "aes192": "AES192", "aes256": "AES256"}
HASH_WORDS = {"none": "NULL", "md5": "MD5", "sha": "SHA"}
# What each side is: its namespace, addresses, and the other's.
ENDS = {
    "us": dict(role="U", wan=net.US_WAN, gate=net.US_GATE, lan=net.US_LAN, net=net.US_NET, peer=net.PEER_WAN,
               peer_net=net.PEER_NET),
    "peer": dict(role="R", wan=net.PEER_WAN, gate=net.PEER_GATE, lan=net.PEER_LAN, net=net.PEER_NET, peer=net.US_WAN,
                 peer_net=net.US_NET),
}  # fmt: skip


def bundle_commands(scenario):
    """SA specifications, one for each protocol, and the bundle of them."""
    lines = []
    for number, (kind, cipher, mac) in enumerate(scenario.protocols, start=1):
        cipher = f" ENCALG={CIPHER_WORDS[cipher]}" if cipher else ""
        lines.append(
            f"CREATE IPSEC SASPEC={number} KEYMAN=ISAKMP PROT={kind.upper()} MODE={scenario.mode.upper()}{cipher} "
            f"HASHALG={HASH_WORDS[mac]} ANTIREPLAY=TRUE"
        )
    string = " AND ".join(str(number) for number in range(1, len(scenario.protocols) + 1))
    life = f" EXPIRYKBYTES={RENEWAL}" if "rekey-us" in scenario.actions else ""
    lines.append(f'CREATE IPSEC BUNDLE=1 KEYMAN=ISAKMP STRING="{string}"{life}')
    return lines


def policy_words(scenario, side):
    """Parameters of the ISAKMP policy beyond its peer."""
    cipher, mac, group = scenario.phase1
    words = [f"ENCALG={CIPHER_WORDS[cipher]} HASHALG={HASH_WORDS[mac]} GROUP={group} MODE={scenario.exchange.upper()}"]
    words.append(f"SENDNOTIFY={scenario.notify.upper()} SENDDELETES=TRUE")
    kind, _, role = scenario.auth.partition("-")
    if scenario.signs:
        words.append("AUTHTYPE=RSASIG LOCALRSAKEY=2" + ("" if scenario.certified else " KEY=3"))
    else:
        words.append("KEY=1")
    if kind == "hybrid":
        words.append("HYBRIDXAUTH=TRUE")
    if role:
        serves = (role == "server") == (side == "us")
        words.append("XAUTH=SERVER" if serves else f"XAUTH=CLIENT XAUTHNAME={USER} XAUTHPASSWORD={PASSWORD}")
        if scenario.users == "radius-chap":
            words.append("XAUTHTYPE=RADIUS")
    if scenario.nat != "none":
        words.append("NATTRAVERSAL=TRUE")
    if scenario.certified and scenario.nat == "none":
        # Our own is the subject of our certificate.
        words.append(f'REMOTEID="CN={"peer" if side == "us" else "us"},O=Example,C=JP"')
    elif scenario.nat != "none" or scenario.signs:
        own, other = net.identities(scenario)[:: 1 if side == "us" else -1]
        words.append(f"LOCALID={own} REMOTEID={other}")
    if "isakmp-rekey-us" in scenario.actions and side == "us":
        words.append("EXPIRYKBYTES=1")
    if any(action.startswith("dpd") for action in scenario.actions):
        words.append("DPDMODE=BOTH DPDIDLETIMEOUT=1 MSGTIMEOUT=1 MSGRETRYLIMIT=2 MSGBACKOFF=NONE")
    return " ".join(words + scenario.ours.replace(",", " ").split())


def configuration(scenario, side):
    """The whole configuration of a router, as text."""
    end = ENDS[side]
    other = "peer" if side == "us" else "us"
    # Whoever is behind a NAT looks like our own neighbour on the Internet.
    peer = end["gate"] if scenario.nat in (other, "both") else end["peer"]
    lines = [
        "ENABLE IP",
        f"ADD IP INT=ppp0 IP={end['wan']} MASK=255.255.255.0",
        f"ADD IP INT=vlan1 IP={end['lan']} MASK=255.255.255.0",
        f"ADD IP ROUTE=0.0.0.0 INT=ppp0 NEXT={end['gate']}",
        f'CREATE ENCO KEY=1 TYPE=GENERAL VALUE="{SECRET}"',
    ]
    if scenario.signs:
        lines += ["CREATE ENCO KEY=2 TYPE=RSA FILE=own.key", "CREATE ENCO KEY=3 TYPE=RSA FILE=peer.pub"]
    if scenario.certified:
        lines.append("ADD PKI CERTIFICATE=root LOCATION=ca.crt TYPE=CA TRUSTED=YES")
        lines.append("ADD PKI CERTIFICATE=own LOCATION=own.crt TYPE=SELF")
    if scenario.expect == "clear":
        return "\n".join([*lines, "CREATE IPSEC POLICY=inet INT=ppp0 ACTION=PERMIT", "ENABLE IPSEC", ""])
    lines.append(f"CREATE ISAKMP POLICY=i PEER={peer} {policy_words(scenario, side)}")
    if scenario.auth.endswith("-server" if side == "us" else "-client"):
        if scenario.users == "local":
            lines.append(f"ADD USER={USER} PASSWORD={PASSWORD} LOGIN=NO")
        else:
            lines.append(f"ADD RADIUS SERVER={net.US_HOST} SECRET={RADIUS_SECRET}")
    lines += bundle_commands(scenario)
    lines.append("CREATE IPSEC POLICY=isa INT=ppp0 ACTION=PERMIT LPORT=500 RPORT=500 TRANSPORT=UDP")
    if scenario.nat != "none":
        lines[-1] = "CREATE IPSEC POLICY=isa INT=ppp0 ACTION=PERMIT LPORT=500 TRANSPORT=UDP"
        lines.append("CREATE IPSEC POLICY=natt INT=ppp0 ACTION=PERMIT LPORT=4500 TRANSPORT=UDP")
    policy = f"CREATE IPSEC POLICY=vpn INT=ppp0 ACTION=IPSEC KEYMAN=ISAKMP BUNDLE=1 PEER={peer}"
    if scenario.pfs != "none":
        policy += f" USEPFSKEY=TRUE GROUP={scenario.pfs}"
    mask = "255.255.255.0"
    if scenario.mode == "tunnel":
        selector = f"LAD={end['net']} LMA={mask} RAD={end['peer_net']} RMA={mask}"
    else:
        selector = f"LAD={end['wan']} RAD={peer}"
    lines += [policy, f"SET IPSEC POLICY=vpn {selector}"]
    if scenario.rest == "permit":
        lines.append("CREATE IPSEC POLICY=inet INT=ppp0 ACTION=PERMIT")
    lines += ["ENABLE IPSEC", "ENABLE ISAKMP"]
    return "\n".join([*lines, ""])


class Gateway:
    """One `gateway run`."""

    def __init__(self, world, side):
        self.world, self.side = world, side
        self.directory = world.directory / side
        self.program = None

    def start(self, scenario):
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        (self.directory / "router.cfg").write_text(configuration(scenario, self.side))
        self.files.mkdir()
        other = "peer" if self.side == "us" else "us"
        files = [(f"{self.side}.key", "own.key"), (f"{other}.pub", "peer.pub")]
        files += [("ca.crt", "ca.crt"), (f"{self.side}.crt", "own.crt")]
        for source, name in files:
            shutil.copy(self.world.rsa / source, self.files / name)
        self.begin()

    def begin(self):
        words = self.world.enter(ENDS[self.side]["role"])
        words += [str(PROGRAM), "run", str(self.directory / "router.cfg"), "--interface", "ppp0=wan"]
        words += ["--interface", "vlan1=lan", "--control", str(self.control), "--keylog", str(self.keys)]
        words += ["--config-dir", str(self.files)]
        log = self.directory / "log"
        log.unlink(missing_ok=True)
        self.program = Program(words, log)
        self.program.wait_until("gateway run", lambda: "\nready\n" in "\n" + self.program.text())

    @property
    def control(self):
        return self.directory / "control"

    @property
    def files(self):
        return self.directory / "files"

    @property
    def keys(self):
        return self.directory / "keys"

    def do(self, command):
        """The answer of the gateway; an error is a Trouble."""
        return run(str(PROGRAM), "cli", "--control", str(self.control), *command.split())

    def table(self, command):
        """The rows under the dashes of a screen."""
        return [line.split() for line in self.do(command).partition("---\n")[2].splitlines()]

    def field(self, screen, label):
        found = re.search(rf"^ *{re.escape(label)} *\.+ *(.*)$", screen, re.M)
        if not found:
            raise Trouble(f"a screen says nothing of {label}")
        return found[1].strip()

    def isakmp_sas(self):
        """What each ISAKMP SA was agreed to be."""
        screens = [self.do(f"SHOW ISAKMP SA={row[0]}") for row in self.table("SHOW ISAKMP SA")]
        labels = "Encryption Algorithm", "Hash Algorithm", "group Description"
        return [tuple(self.field(screen, label) for label in labels) for screen in screens]

    def sas(self):
        """Every SA of IPsec as a dictionary, in the order of its screen."""
        found = []
        for number, *_ in self.table("SHOW IPSEC SA"):
            screen = self.do(f"SHOW IPSEC SA={number}")
            sa = {key: int(self.field(screen, label)) for key, label in dict(out="Outbound SPI", into="Inbound SPI").items()}
            sa["state"] = self.field(screen, "State")
            sa["sent"] = int(self.field(screen, "Last sent sequence number"))
            if self.field(screen, "Anti-replay checking enabled") == "TRUE":
                sa["received"] = int(self.field(screen, "Last received sequence number"))
            else:
                sa["received"] = self.carried(number) - sa["sent"]
            found.append(sa)
        return found

    def carried(self, number):
        """Pings that a bundle carried, both ways: where no window is kept, nothing else is told."""
        for _, sas, _, limits, *_ in self.table("SHOW IPSEC POLICY=vpn"):
            if number in sas.split(","):
                return int(limits.split("/")[2]) // net.PING_LENGTH
        raise Trouble(f"no bundle has the SA {number}")

    def counts(self):
        """Packets by SPI: those sent and those received."""
        sas = self.sas()
        return {sa["out"]: sa["sent"] for sa in sas}, {sa["into"]: sa["received"] for sa in sas}

    def has_nothing(self):
        return not self.table("SHOW ISAKMP SA") and not self.table("SHOW IPSEC SA")

    def freeze(self, stopped=True):
        self.program.freeze(stopped)

    def end(self, how=signal.SIGTERM):
        if self.program:
            status = self.program.end(how)
            self.program = None
            if how == signal.SIGTERM and status:
                raise Trouble(f"the gateway ended with {status}")

    def tail(self):
        log = self.directory / "log"
        text = log.read_text(errors="replace") if log.exists() else ""
        return "\n".join(text.splitlines()[-25:])


class Radius:
    """The RADIUS server of a scenario, on the host behind us."""

    def __init__(self, world, scenario):
        self.how = scenario.users.removeprefix("radius-").upper()
        log = world.directory / f"{scenario.name}.radius"
        log.unlink(missing_ok=True)
        script = pathlib.Path(__file__).parents[1] / "radius_server.py"
        words = [*world.enter("H"), "/usr/bin/python3", str(script), net.US_HOST, RADIUS_SECRET, USER, PASSWORD]
        self.program = Program(words, log)
        self.program.wait_until("the RADIUS server", lambda: "ready" in self.program.text())

    def check(self):
        """It was asked, in the way of the scenario, and never anything that it did not accept."""
        told = set(self.program.text().splitlines()) - {"ready"}
        if told != {f"{self.how} accepted"}:
            raise Trouble(f"the RADIUS server says {sorted(told)}")

    def end(self):
        self.program.end(signal.SIGKILL)


class GatewayPeer(Gateway):
    """Another gateway of ours as the peer."""

    def __init__(self, world):
        super().__init__(world, "peer")

    def sa_count(self):
        return len(self.table("SHOW IPSEC SA"))

    def delete(self):
        self.do("RESET IPSEC POLICY=vpn")

    def wait_for_nothing(self):
        # Its SAs of IPsec outlive those of ISAKMP.
        wait_for("the peer forgetting its ISAKMP SA", lambda: not self.table("SHOW ISAKMP SA"))
