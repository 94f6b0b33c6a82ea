"""ike-scan: what a gateway tells somebody who sends one first message."""
import collections
import re

from . import world as net
from .world import Trouble

# Numbers of RFC 2409, appendix A.
CIPHERS = {"des": "1=1", "3des": "1=5", "aes128": "1=7,14=128", "aes192": "1=7,14=192", "aes256": "1=7,14=256"}
HASHES = {"md5": 1, "sha": 2}
PRESHARED = 1

Answer = collections.namedtuple("Answer", "kind text")


def ask(world, scenario):
    """Sends what the scenario probes with, as the peer that the gateway knows."""
    cipher, mac, group = scenario.probed
    words = ["ike-scan", "--nodns", "--retry=2", "--timeout=700"]
    words.append(f"--trans=({CIPHERS[cipher]},2={HASHES[mac]},3={PRESHARED},4={group})")
    if scenario.exchange == "aggressive":
        # An identity is raw bytes; type 1 is an IPv4 address.
        identity = "".join(f"{int(part):02x}" for part in net.PEER_WAN.split("."))
        words += ["--aggressive", f"--id=0x{identity}", "--idtype=1", f"--dhgroup={group}"]
    text = world.inside("R", *words, net.US_WAN)
    if "1 returned handshake" in text:
        found = re.search(r"(Main|Aggressive) Mode Handshake returned.*?SA=\(([^)]*)\)", text, re.S)
        if not found:
            raise Trouble(f"ike-scan: {text[-300:]}")
        return Answer("handshake", " ".join(found[2].split()))
    if "1 returned notify" in text:
        found = re.search(r"Notify message (\d+) \(([^)]*)\)", text)
        if not found:
            raise Trouble(f"ike-scan: {text[-300:]}")
        return Answer("refusal" if found[1] == "14" else "another notify", f"{found[2]} ({found[1]})")
    if "0 returned handshake; 0 returned notify" in text:
        return Answer("silence", "no answer")
    raise Trouble(f"ike-scan: {text[-300:]}")
