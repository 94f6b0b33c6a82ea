"""strongSwan as the peer: one charon in the peer's namespace, its packets carried by peer_plane.py."""
import json
import pathlib
import re
import shutil
import socket

from . import world as net
from .gateway import PASSWORD, SECRET, USER
from .world import Program, Trouble, run, wait_for

HERE = pathlib.Path(__file__).parents[1]
CHARON = "/usr/sbin/charon-systemd"
PLUGINS = (
    "random nonce openssl hmac kdf x509 revocation constraints pubkey pkcs1 pkcs8 pem "
    "kernel-netlink socket-default vici xauth-generic"
)
IKE = {"des": "DES_CBC", "3des": "3DES_CBC", "aes128": "AES_CBC-128", "aes192": "AES_CBC-192", "aes256": "AES_CBC-256",
       "null": "NULL"}  # fmt: skip
MACS = {"md5": "HMAC_MD5_96", "sha": "HMAC_SHA1_96", "none": ""}
GROUPS = {"1": "MODP_768", "2": "MODP_1024", "5": "MODP_1536", "14": "MODP_2048"}
# A kernel with ESP would hold what an SA is negotiated for; here it must not leave in clear. Behind
# these come the routes of peer_plane.py.
GUARDS = f"""
-n R route add blackhole {net.US_NET}/24 metric 4000
-n R rule add ipproto icmp to {net.US_WAN} lookup 77 pref 77
-n R rule add ipproto icmp to {net.PEER_GATE} lookup 77 pref 77
-n R route add blackhole default table 77 metric 4000
"""
FOLDERS = "x509 x509ca x509ocsp x509aa x509ac x509crl pubkey private rsa ecdsa bliss pkcs8 pkcs12 conf.d"


def word(cipher=None, mac=None, group=None):
    """A proposal as swanctl.conf writes it."""
    words = [cipher, {"sha": "sha1", "none": None}.get(mac, mac), group and GROUPS[group].lower().replace("_", "")]
    return "-".join(filter(None, words))


def auth_sections(scenario, own, other):
    """Who proves what, seen from strongSwan."""
    psk = "auth = psk"
    signs, is_checked = "auth = pubkey\n pubkeys = peer.pub", "auth = pubkey\n pubkeys = us.pub"
    if scenario.certified:
        signs, is_checked = "auth = pubkey\n certs = peer.crt", "auth = pubkey\n cacerts = ca.crt"
    local, remote = f'id = "{own}"', f'id = "{other}"'
    sections = {
        "psk": [("local", psk, local), ("remote", psk, remote)],
        "rsa": [("local", signs, local), ("remote", is_checked, remote)],
        "xauth-server": [("local-1", psk, local), ("local-2", f"auth = xauth\n xauth_id = {USER}", ""), ("remote", psk, remote)],
        "xauth-client": [("local", psk, local), ("remote-1", psk, remote), ("remote-2", "auth = xauth", "")],
        "hybrid-server": [("local", f"auth = xauth\n xauth_id = {USER}", local), ("remote", is_checked, remote)],
        "hybrid-client": [("local", signs, local), ("remote", "auth = xauth", "")],
    }  # fmt: skip
    return "\n".join(f"{name} {{\n {auth}\n {identity}\n}}" for name, auth, identity in sections[scenario.auth])


def connection(scenario):
    """The whole of swanctl.conf."""
    behind = scenario.nat in ("us", "both")
    own, other = net.identities(scenario)[::-1]
    [(kind, cipher, mac)] = scenario.protocols
    pfs = None if scenario.pfs == "none" else scenario.pfs
    selectors = f"local_ts = {net.PEER_NET}/24\n remote_ts = {net.US_NET}/24" if scenario.mode == "tunnel" else ""
    return f"""connections {{ c {{
version = 1
aggressive = {"yes" if scenario.exchange == "aggressive" else "no"}
local_addrs = {net.PEER_WAN}
remote_addrs = {net.PEER_GATE if behind else net.US_WAN}
proposals = {word(*scenario.phase1)}
dpd_delay = {1 if "dpd-peer" in scenario.actions else 0}
keyingtries = 1
{auth_sections(scenario, own, other)}
children {{ c {{
 mode = {scenario.mode}
 {kind}_proposals = {word(cipher, mac, pfs)}
 dpd_action = clear
 {selectors}
 {scenario.theirs.replace(",", chr(10))}
}} }} }} }}
secrets {{
 ike {{ secret = "{SECRET}" }}
 xauth {{
  id = {USER}
  secret = "{PASSWORD}"
 }}
}}
"""


class StrongSwan:
    """One charon and its data plane, for many scenarios."""

    def __init__(self, world):
        self.world = world
        self.directory = world.directory / "strongswan"
        self.directory.mkdir()
        for folder in FOLDERS.split():
            (self.directory / "swanctl" / folder).mkdir(parents=True)
        for name, folder in (("us.pub", "pubkey"), ("peer.pub", "pubkey"), ("peer.key", "private"),
                             ("peer.crt", "x509"), ("ca.crt", "x509ca")):  # fmt: skip
            shutil.copy(world.rsa / name, self.directory / "swanctl" / folder)
        self.log = self.directory / "charon.log"
        self.told = 0
        self.programs = []
        self.plane = self.charon = None
        (self.directory / "strongswan.conf").write_text(self.settings())

    def settings(self):
        return f"""charon-systemd {{
load = {PLUGINS}
i_dont_care_about_security_and_use_aggressive_mode_psk = yes
install_routes = no
retransmit_tries = 2
retransmit_timeout = 2.0
plugins {{
 vici {{ socket = unix://{self.vici} }}
 openssl {{ load_legacy = yes }}
}}
journal {{ default = -1 }}
filelog {{ main {{
 path = {self.log}
 default = 1
 cfg = 2
 flush_line = yes
}} }}
}}
"""

    @property
    def vici(self):
        return self.directory / "vici"

    @property
    def environment(self):
        return {
            "STRONGSWAN_CONF": str(self.directory / "strongswan.conf"),
            "SWANCTL_DIR": str(self.directory / "swanctl"),
        }

    def begin(self, shim):
        """Starts both programs."""
        self.world.ip(GUARDS)
        requests = self.directory / "requests"
        enter = self.world.enter("R")
        counts = self.directory / "counts"
        words = [*enter, "/usr/bin/python3", str(HERE / "peer_plane.py"), str(requests), "wan", str(counts)]
        self.plane = Program(words, self.directory / "plane.log")
        self.programs.append(self.plane)
        self.plane.wait_until("the peer's data plane", counts.exists, 20)
        preload = {"LD_PRELOAD": str(shim), "XFRM_SHIM_LOG": str(requests)}
        words = [*enter, "env", *(f"{key}={value}" for key, value in preload.items()), CHARON]
        self.charon = Program(words, self.directory / "out.log", self.environment)
        self.programs.append(self.charon)
        self.charon.wait_until("charon", self.vici.exists, 20)

    def swanctl(self, *words, seconds=15, check=True):
        words = [*self.world.enter("R"), "env", *(f"{key}={value}" for key, value in self.environment.items()),
                 "swanctl", *words, "--uri", f"unix://{self.vici}"]  # fmt: skip
        return run(*words, timeout=seconds, check=check)

    def start(self, scenario):
        self.told = self.log.stat().st_size
        configuration = self.directory / "swanctl" / "swanctl.conf"
        configuration.write_text(connection(scenario))
        self.swanctl("--load-all", "--clear", "--noprompt", "--file", str(configuration))

    def bring_up(self):
        self.swanctl("--initiate", "--child", "c", "--timeout", "10")

    def rekey(self):
        self.swanctl("--rekey", "--child", "c")

    def isakmp_rekey(self):
        self.swanctl("--rekey", "--ike", "c", "--reauth")

    def delete(self):
        self.swanctl("--terminate", "--child", "c", "--timeout", "5")

    def delete_isakmp(self):
        self.swanctl("--terminate", "--ike", "c", "--timeout", "5")

    def sas(self):
        """ISAKMP SAs and SAs of IPsec, each as a dictionary of what swanctl tells."""
        text = self.swanctl("--list-sas", "--raw")
        isakmp, ipsec = [], []
        for event in text.splitlines():
            head, *children = re.split(r"child-sas \{|(?<=\} )(?=c-\d+ \{)", event)
            if not head.startswith("list-sa event"):
                continue
            isakmp.append(dict(re.findall(r"([\w-]+)=([^\s\]}]*)", head)))
            for child in children:
                words = dict(re.findall(r"([\w-]+)=([^\s\]}]*)", child))
                if words:
                    ipsec.append(words)
        return isakmp, ipsec

    def cookies(self):
        """Of every ISAKMP SA that is up."""
        up = (sa for sa in self.sas()[0] if sa.get("state") == "ESTABLISHED")
        return {sa["initiator-spi"] + sa["responder-spi"] for sa in up}

    def isakmp_count(self):
        return len(self.sas()[0])

    def sa_count(self):
        return sum(child.get("state") == "INSTALLED" for child in self.sas()[1])

    def agreed(self):
        """What it says was negotiated: phase 1, and the newest SA pair."""

        def text(sa, *keys):
            cipher = sa.get("encr-alg", "") + (f"-{sa['encr-keysize']}" if sa.get("encr-keysize") else "")
            return "/".join([cipher, *(sa.get(key, "") for key in keys)])

        isakmp, ipsec = self.sas()
        isakmp = [sa for sa in isakmp if sa.get("state") == "ESTABLISHED"]
        ipsec = [sa for sa in ipsec if sa.get("state") == "INSTALLED"]
        if not isakmp or not ipsec:
            raise Trouble("strongSwan has no SA that is up")
        newest = [max(sas, key=lambda sa: int(sa["uniqueid"])) for sas in (isakmp, ipsec)]
        return tuple(text(sa, "integ-alg", "dh-group") for sa in newest)

    def installed(self):
        """What charon asked the kernel for, and the packets that the data plane carried by it."""
        with socket.socket(socket.AF_UNIX) as asker:
            asker.connect(str(self.directory / "counts"))
            return json.loads(b"".join(iter(lambda: asker.recv(65536), b"")))

    def counts(self):
        sas = self.installed()["sas"]
        sent = {int(sa["spi"], 16): sa["packets"] for sa in sas if sa["outbound"]}
        return sent, {int(sa["spi"], 16): sa["packets"] for sa in sas if not sa["outbound"]}

    def has_nothing(self):
        isakmp, ipsec = self.sas()
        return not isakmp and not ipsec

    def was_answered(self, side):
        """Whether a probe of dead peer detection that `side` sent was answered."""
        verbs = ("generating", "parsed") if side == "peer" else ("parsed", "generating")
        probe, answer = zip(verbs, ("N(DPD)", "N(DPD_ACK)"))
        lines = self.said().splitlines()
        return all(any(verb in line and word in line for line in lines) for verb, word in (probe, answer))

    def freeze(self, stopped=True):
        self.charon.freeze(stopped)

    def wait_for_nothing(self):
        wait_for("strongSwan forgetting its SAs", self.has_nothing)

    def finish(self):
        """Forgets what a scenario left behind, without a word to the other side's successor."""
        for sa in self.sas()[0]:
            self.swanctl("--terminate", "--ike-id", sa["uniqueid"], "--force", "--timeout", "1", check=False)

    def said(self):
        """What charon wrote since the scenario began."""
        with open(self.log, encoding="utf-8", errors="replace") as log:
            log.seek(self.told)
            return log.read()

    def tail(self):
        plane = self.plane.tail(5) if self.plane else ""
        lines = [line for line in self.said().splitlines() if "[CFG]" not in line]
        return "\n".join([*lines[-25:], plane])

    def close(self):
        for program in reversed(self.programs):
            program.end()


def compile_shim(directory):
    """The shared object that is preloaded into charon."""
    shim = directory / "xfrm_shim.so"
    run("gcc", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-O1", "-o", str(shim), str(HERE / "xfrm_shim.c"), "-ldl")
    return shim


def make_rsa_keys(directory):
    """A pair of keys for each side: private ones as PKCS #1, public ones as SubjectPublicKeyInfo."""
    directory.mkdir()
    for side in ("us", "peer"):
        key = run("pki", "--gen", "--type", "rsa", "--size", "1024", "--outform", "pem")
        (directory / f"{side}.key").write_text(pem(key))
        public = run("pki", "--pub", "--type", "rsa", "--in", str(directory / f"{side}.key"), "--outform", "pem")
        (directory / f"{side}.pub").write_text(pem(public))
    make_certificates(directory)


def make_certificates(directory):
    """A root, and by it a certificate for the key of each side, with its subject and its names."""
    key = run("pki", "--gen", "--type", "rsa", "--size", "2048", "--outform", "pem")
    root = directory / "ca"
    root.with_suffix(".key").write_text(pem(key))
    made = run("pki", "--self", "--ca", "--in", f"{root}.key", "--dn", "C=JP, O=Example, CN=Root", "--outform", "pem")
    root.with_suffix(".crt").write_text(pem(made))
    for side in ("us", "peer"):
        words = ["pki", "--issue", "--cacert", f"{root}.crt", "--cakey", f"{root}.key", "--outform", "pem"]
        words += ["--type", "priv", "--in", str(directory / f"{side}.key"), "--dn", net.SUBJECTS[side]]
        (directory / f"{side}.crt").write_text(pem(run(*words, "--san", f"{side}.example")))


def pem(text):
    """The PEM block in what a program said."""
    return re.search("-----BEGIN.*-----END [A-Z ]+-----\n", text, re.S)[0]
