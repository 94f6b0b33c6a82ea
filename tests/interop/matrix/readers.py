"""tshark as an independent reader of what passed on the WAN, with the keys that strongSwan installed."""
import os
import re
import shutil
import subprocess

from .world import NAT_T_VERSIONS, Trouble

CIPHERS = {
    "NULL": "NULL",
    "DES": "DES-CBC [RFC2405]",
    "3DES": "TripleDES-CBC [RFC2451]",
    "AES-CBC": "AES-CBC [RFC3602]",
}
MACS = {"NULL": "NULL", "HMAC-MD5-96": "HMAC-MD5-96 [RFC2403]", "HMAC-SHA1-96": "HMAC-SHA-1-96 [RFC2404]"}
# What the pings are inside ESP: ICMP, or IPv4 around it.
CARRIED = (1, 4)
TRUE = ("1", "True")
# The type of NAT-D payloads in each version of NAT traversal.
NAT_D = {"rfc": "20", "08": "15", "03": "130", "02": "130"}


def strongswan_keys(installed):
    """SAs as lines of Wireshark's `esp_sa`, without the addresses, which a NAT may change. Those of AH
    are there like ESP without a cipher."""
    lines = set()
    for sa in installed["sas"]:
        mac, mac_key, cipher, cipher_key = sa["keys"]
        keys = [f"0x{key}" if key else "" for key in (cipher_key, mac_key)]
        lines.add(f'"IPv4","*","*","0x{sa["spi"]}","{CIPHERS[cipher]}","{keys[0]}","{MACS[mac]}","{keys[1]}"')
    return lines


def own_keys(directory):
    """The same of our key log."""
    path = directory / "esp_sa"
    text = path.read_text() if path.exists() else ""
    return {re.sub(r'^("IPv4"),"[^"]*","[^"]*"', r'\1,"*","*"', line) for line in text.splitlines()}


def fields(pcap, directory, display, *names, every=False):
    """What tshark says of the packets that match, a list of fields for each: the first value of a
    field, or every one with commas between."""
    words = ["tshark", "-r", str(pcap), "-Y", display, "-T", "fields", "-E", "separator=|"]
    words += ["-E", "occurrence=a" if every else "occurrence=f"]
    for option in ("esp.enable_encryption_decode:TRUE", "esp.enable_authentication_check:TRUE"):
        words += ["-o", option]
    for name in names:
        words += ["-e", name]
    environment = {**os.environ, "WIRESHARK_CONFIG_DIR": str(directory)}
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=environment, check=False)
    if done.returncode:
        raise Trouble(f"tshark: {done.stderr.strip()[-300:]}")
    return [line.split("|") for line in done.stdout.splitlines()]


def first_copies(pcap, directory):
    """The capture without repetitions of an ISAKMP message: tshark deciphers those as if they were
    other messages, and then, with a wrong IV, what follows them as well."""
    seen, again = set(), []
    for number, source, payload in fields(pcap, directory, "isakmp && udp", "frame.number", "ip.src", "udp.payload"):
        if (source, payload) in seen:
            again.append(number)
        seen.add((source, payload))
    if not again:
        return pcap
    kept = directory / "kept.pcap"
    words = ["tshark", "-r", str(pcap), "-Y", f"!(frame.number in {{{','.join(again)}}})", "-w", str(kept)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise Trouble(f"tshark: {done.stderr.strip()[-300:]}")
    return kept


def check_nat_version(scenario, pcap, directory):
    """The responder named the version of the scenario as the best, and both spoke it."""
    names = "isakmp.rspi", "isakmp.vid_bytes", "isakmp.typepayload"
    rows = fields(pcap, directory, "isakmp.flag_e == 0", *names, every=True)
    answers = [vendors for cookie, vendors, _ in rows if cookie.strip("0")]
    if not answers:
        read = fields(pcap, directory, "frame", "_ws.col.Protocol", "udp.srcport", "isakmp.rspi", "isakmp.flag_e")
        raise Trouble(f"tshark finds no answer in the clear, but {rows} in {read[:16]}")
    named = set(answers[0].replace(":", "").split(","))
    for version, vendors in NAT_T_VERSIONS.items():
        if bool(named & set(vendors)) != (version == scenario.natt):
            raise Trouble(f"NAT traversal: the responder's answer is not that of version {scenario.natt}")
    seen = {kind for _, _, kinds in rows for kind in kinds.split(",")} & set(NAT_D.values())
    if seen != {NAT_D[scenario.natt]}:
        raise Trouble(f"NAT-D payloads of type {sorted(seen)}, not those of version {scenario.natt}")


def check(scenario, pcap, keylog, installed):
    """Every packet of ESP opens and is authentic, every encrypted message of ISAKMP can be read, and
    our keys are strongSwan's. Returns how many of each."""
    directory = pcap.with_suffix(".keys")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    ours = own_keys(keylog)
    keys = ours
    if installed:
        theirs = strongswan_keys(installed)
        if ours - theirs:
            raise Trouble(f"the two sides' keys differ: {sorted(ours - theirs)[0].split(',')[3]}")
        keys = theirs
    (directory / "esp_sa").write_text("".join(f"{line}\n" for line in sorted(keys)))
    isakmp_keys = keylog / "ikev1_decryption_table"
    if isakmp_keys.exists():
        shutil.copy(isakmp_keys, directory)
    names = "esp.spi", "esp.icv_good", "esp.protocol", "isakmp.flag_e", "isakmp.typepayload", "_ws.malformed"
    rows = fields(first_copies(pcap, directory), directory, "esp || isakmp", *names)
    if scenario.nat != "none":
        check_nat_version(scenario, pcap, directory)
    shutil.rmtree(directory)
    packets = [row for row in rows if row[0]]
    authenticated = scenario.protocols[-1][2] != "none"
    good = [row for row in packets if int(row[2] or "0", 0) in CARRIED and (row[1] in TRUE or not authenticated)]
    if len(good) != len(packets):
        raise Trouble(f"tshark finds {len(good)} of {len(packets)} packets of ESP good")
    messages = [row for row in rows if not row[0] and row[3] in TRUE]
    good = [row for row in messages if row[4] and not row[5]]
    if len(good) != len(messages):
        raise Trouble(f"tshark can read {len(good)} of {len(messages)} encrypted messages of ISAKMP")
    return f"{len(messages)}/{len(packets)}"
