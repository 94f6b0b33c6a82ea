"""A scenario is one line: a name, then KEY=VALUE words. The header of `scenarios` explains them."""
import dataclasses

CIPHERS = ("null", "des", "3des", "aes128", "aes192", "aes256")
HASHES = ("none", "md5", "sha")
GROUPS = ("0", "1", "2", "5", "14")
SIDES = ("us", "peer")
CHOICES = dict(
    users=("local", "radius-pap", "radius-chap"),
    peer=("strongswan", "gateway", "ike-scan", "nobody"),
    exchange=("main", "aggressive"),
    auth=("psk", "rsa", "xauth-server", "xauth-client", "hybrid-server", "hybrid-client"),
    proof=("keys", "certificates"),
    mode=("tunnel", "transport"),
    start=SIDES,
    nat=("none", *SIDES, "both"),
    natt=("rfc", "08", "03", "02"),
    notify=("on", "off"),
    rest=("permit", "deny"),
    expect=("tunnel", "handshake", "refusal", "silence", "clear"),
    pfs=("none", *GROUPS),
)
ACTIONS = (
    *(f"{action}-{side}" for action in ("rekey", "isakmp-rekey", "delete", "delete-isakmp", "dpd") for side in SIDES),
    "restart-us",
)


class Malformed(Exception):
    """A line that is no scenario; the text says why."""


@dataclasses.dataclass
class Scenario:
    name: str
    peer: str = "strongswan"
    exchange: str = "main"
    auth: str = "psk"
    proof: str = "keys"
    users: str = "local"
    ike: str = "aes128-sha-2"
    suite: str = "esp:aes128-sha"
    pfs: str = "none"
    mode: str = "tunnel"
    start: str = "us"
    nat: str = "none"
    natt: str = "rfc"
    do: str = ""
    notify: str = "on"
    rest: str = "permit"
    probe: str = ""
    expect: str = "tunnel"
    ours: str = ""
    theirs: str = ""

    def __post_init__(self):
        for key, choices in CHOICES.items():
            if getattr(self, key) not in choices:
                raise Malformed(f"{self.name}: {key}={getattr(self, key)} is none of {', '.join(choices)}")
        for action in self.actions:
            if action not in ACTIONS:
                raise Malformed(f"{self.name}: do={action} is none of {', '.join(ACTIONS)}")
        self.phase1 = self.transform(self.ike)
        self.probed = self.transform(self.probe or self.ike)
        self.protocols = [self.protocol(text) for text in self.suite.split("+")]

    def transform(self, text):
        """Cipher, hash and group of phase 1."""
        words = text.split("-")
        if len(words) != 3 or words[0] not in CIPHERS[1:] or words[1] not in HASHES[1:] or words[2] not in GROUPS:
            raise Malformed(f"{self.name}: {text} is no CIPHER-HASH-GROUP")
        return tuple(words)

    def protocol(self, text):
        """Protocol, cipher and hash of one SA; AH has no cipher."""
        kind, _, rest = text.partition(":")
        words = rest.split("-")
        if kind == "esp" and len(words) == 2 and words[0] in CIPHERS and words[1] in HASHES:
            return kind, *words
        if kind == "ah" and len(words) == 1 and words[0] in HASHES[1:]:
            return kind, None, *words
        raise Malformed(f"{self.name}: {text} is neither esp:CIPHER-HASH nor ah:HASH")

    @property
    def signs(self):
        """Whether a side proves itself with an RSA signature."""
        return self.auth.split("-")[0] in ("rsa", "hybrid")

    @property
    def certified(self):
        """Whether certificates say whose the RSA keys are."""
        return self.signs and self.proof == "certificates"

    @property
    def actions(self):
        return self.do.split(",") if self.do else []

    @property
    def secret(self):
        """Whether nobody on the way can read what is carried."""
        return any(cipher not in (None, "null") for _, cipher, _ in self.protocols)


def read(path):
    """The scenarios of a file, in its order."""
    known = {field.name for field in dataclasses.fields(Scenario)}
    found = []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            name, *words = line.partition("#")[0].split() or [""]
            if not name:
                continue
            pairs = [word.partition("=") for word in words]
            for key, equals, _ in pairs:
                if not equals or key not in known or key == "name":
                    raise Malformed(f"{name}: {key} is no key of a scenario")
            found.append(Scenario(name, **{key: value for key, _, value in pairs}))
    names = [scenario.name for scenario in found]
    if len(set(names)) != len(names):
        raise Malformed(f"{path}: a name occurs twice")
    return found
