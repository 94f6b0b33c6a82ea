//! The grammar: every command of the chapter and its neighbours, as the manual lists them.

use super::{Kind, Param, Spec};

const fn must(name: &'static str, kind: Kind) -> Param {
    Param {
        name,
        kind,
        required: true,
        default: None,
        bare: false,
    }
}

const fn may(name: &'static str, kind: Kind) -> Param {
    Param {
        name,
        kind,
        required: false,
        default: None,
        bare: false,
    }
}

impl Param {
    /// What is in force when it is left out.
    const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    /// Its value may be left out.
    const fn bare(mut self) -> Self {
        self.bare = true;
        self
    }
}

/// The commands, by verb and object.
pub const COMMANDS: &[Spec] = &[
    Spec {
        verb: "ADD",
        object: &["FIREWALL", "POLICY"],
        params: &[
            must(
                "POLICY",
                Kind::Text {
                    max: 255,
                    words: &[],
                },
            ),
            may("INTERFACE", Kind::Interface),
            may("TYPE", Kind::Enum(&["PRIVATE", "PUBLIC"])),
            may("NAT", Kind::Enum(&["ENHANCED"])),
            may("GBLINT", Kind::Interface),
            may(
                "RULE",
                Kind::Int {
                    min: 0,
                    max: 4294967295,
                    clamp: false,
                    words: &[],
                },
            ),
            may("ACTION", Kind::Enum(&["ALLOW", "NONAT"])),
            may("PROTOCOL", Kind::Enum(&["UDP", "ALL"])),
            may(
                "GBLPORT",
                Kind::Int {
                    min: 0,
                    max: 4294967295,
                    clamp: false,
                    words: &[],
                },
            ),
            may("GBLIP", Kind::Ip),
            may(
                "PORT",
                Kind::Int {
                    min: 0,
                    max: 4294967295,
                    clamp: false,
                    words: &[],
                },
            ),
            may("IP", Kind::IpRange),
            may("ENCAP", Kind::Enum(&["IPSEC"])),
        ],
    },
    Spec {
        verb: "ADD",
        object: &["IP", "INTERFACE"],
        params: &[
            must("INTERFACE", Kind::Interface),
            must("IPADDRESS", Kind::Ip),
            may("MASK", Kind::Mask),
        ],
    },
    Spec {
        verb: "ADD",
        object: &["IP", "ROUTE"],
        params: &[
            must("ROUTE", Kind::Ip),
            must("INTERFACE", Kind::Interface),
            may("NEXTHOP", Kind::Ip),
            may("MASK", Kind::Mask),
        ],
    },
    Spec {
        verb: "ADD",
        object: &["IP", "ROUTE", "TEMPLATE"],
        params: &[
            must(
                "TEMPLATE",
                Kind::Text {
                    max: 31,
                    words: &[],
                },
            ),
            must("INTERFACE", Kind::Interface),
            may("NEXTHOP", Kind::Ip),
        ],
    },
    Spec {
        verb: "ADD",
        object: &["IPV6", "INTERFACE"],
        params: &[
            must("INTERFACE", Kind::Interface),
            must("IPADDRESS", Kind::Ipv6Prefix),
        ],
    },
    Spec {
        verb: "ADD",
        object: &["IPV6", "ROUTE"],
        params: &[
            must("ROUTE", Kind::Ipv6Prefix),
            must("INTERFACE", Kind::Interface),
            may("NEXTHOP", Kind::Ipv6),
        ],
    },
    Spec {
        verb: "ADD",
        object: &["USER"],
        params: &[
            must(
                "USER",
                Kind::Text {
                    max: 255,
                    words: &[],
                },
            ),
            must(
                "PASSWORD",
                Kind::Text {
                    max: 255,
                    words: &[],
                },
            ),
            may(
                "PRIVILEGE",
                Kind::Enum(&["USER", "MANAGER", "SECURITYOFFICER"]),
            ),
            may("LOGIN", Kind::Bool),
        ],
    },
    Spec {
        verb: "ADD",
        object: &["PKI", "CERTIFICATE"],
        params: &[
            must(
                "CERTIFICATE",
                Kind::Text {
                    max: 24,
                    words: &[],
                },
            ),
            must("LOCATION", Kind::File { ext: "" }),
            may("TRUSTED", Kind::Bool),
            must("TYPE", Kind::Enum(&["CA", "EE", "SELF"])),
        ],
    },
    Spec {
        verb: "DELETE",
        object: &["PKI", "CERTIFICATE"],
        params: &[must(
            "CERTIFICATE",
            Kind::Text {
                max: 24,
                words: &[],
            },
        )],
    },
    Spec {
        verb: "ADD",
        object: &["RADIUS", "SERVER"],
        params: &[
            must(
                "SERVER",
                Kind::Address {
                    range: false,
                    host: false,
                    words: &[],
                },
            ),
            must(
                "SECRET",
                Kind::Text {
                    max: 63,
                    words: &[],
                },
            ),
            may(
                "PORT",
                Kind::Int {
                    min: 1,
                    max: 65535,
                    clamp: false,
                    words: &[],
                },
            ),
        ],
    },
    Spec {
        verb: "DELETE",
        object: &["RADIUS", "SERVER"],
        params: &[must(
            "SERVER",
            Kind::Address {
                range: false,
                host: false,
                words: &[],
            },
        )],
    },
    Spec {
        verb: "CREATE",
        object: &["CONFIG"],
        params: &[must("CONFIG", Kind::File { ext: ".cfg" })],
    },
    Spec {
        verb: "CREATE",
        object: &["ENCO", "KEY"],
        params: &[
            must(
                "KEY",
                Kind::Int {
                    min: 0,
                    max: 65535,
                    clamp: false,
                    words: &[],
                },
            ),
            must(
                "TYPE",
                Kind::Enum(&["GENERAL", "DES", "3DES", "AES", "RSA"]),
            ),
            may(
                "VALUE",
                Kind::Text {
                    // The longest RSA key, of 8192 bits, as SHOW CONFIG writes it.
                    max: 10240,
                    words: &[],
                },
            ),
            may("FILE", Kind::File { ext: "" }),
            may("RANDOM", Kind::Flag),
            may(
                "LENGTH",
                Kind::Int {
                    min: 0,
                    max: 4294967295,
                    clamp: false,
                    words: &[],
                },
            ),
            may(
                "DESCRIPTION",
                Kind::Text {
                    max: 255,
                    words: &[],
                },
            ),
        ],
    },
    Spec {
        verb: "CREATE",
        object: &["FIREWALL", "POLICY"],
        params: &[must(
            "POLICY",
            Kind::Text {
                max: 255,
                words: &[],
            },
        )],
    },
    Spec {
        verb: "CREATE",
        object: &["IPSEC", "BUNDLESPECIFICATION"],
        params: &[
            must(
                "BUNDLESPECIFICATION",
                Kind::Int {
                    min: 0,
                    max: 255,
                    clamp: false,
                    words: &[],
                },
            ),
            must("KEYMANAGEMENT", Kind::Enum(&["ISAKMP", "MANUAL"])),
            must("STRING", Kind::Bundle),
            may(
                "EXPIRYKBYTES",
                Kind::Int {
                    min: 1,
                    max: 4193280,
                    clamp: true,
                    words: &[],
                },
            )
            .or("unlimited"),
            may(
                "EXPIRYSECONDS",
                Kind::Int {
                    min: 300,
                    max: 31449600,
                    clamp: false,
                    words: &[],
                },
            )
            .or("28800"),
        ],
    },
    Spec {
        verb: "CREATE",
        object: &["IPSEC", "POLICY"],
        params: &[
            must(
                "POLICY",
                Kind::Text {
                    max: 23,
                    words: &[],
                },
            ),
            must("INTERFACE", Kind::Interface),
            must("ACTION", Kind::Enum(&["DENY", "IPSEC", "PERMIT"])),
            may("IPVERSION", Kind::Enum(&["4", "6"])).or("4"),
            may("KEYMANAGEMENT", Kind::Enum(&["ISAKMP", "MANUAL"])),
            may(
                "BUNDLESPECIFICATION",
                Kind::Int {
                    min: 0,
                    max: 255,
                    clamp: false,
                    words: &[],
                },
            ),
            may(
                "PEERADDRESS",
                Kind::Address {
                    range: false,
                    host: true,
                    words: &["ANY", "DYNAMIC"],
                },
            ),
            may(
                "LADDRESS",
                Kind::Address {
                    range: true,
                    host: false,
                    words: &["ANY"],
                },
            )
            .or("ANY"),
            may("LMASK", Kind::Mask).or("255.255.255.255"),
            may(
                "LNAME",
                Kind::Text {
                    max: 120,
                    words: &["ANY"],
                },
            )
            .or("ANY"),
            may(
                "LPORT",
                Kind::Int {
                    min: 0,
                    max: 65535,
                    clamp: false,
                    words: &["ANY"],
                },
            )
            .or("ANY"),
            may(
                "RADDRESS",
                Kind::Address {
                    range: true,
                    host: false,
                    words: &["ANY"],
                },
            )
            .or("ANY"),
            may("RMASK", Kind::Mask).or("255.255.255.255"),
            may(
                "RNAME",
                Kind::Text {
                    max: 120,
                    words: &["ANY"],
                },
            )
            .or("ANY"),
            may(
                "RPORT",
                Kind::Int {
                    min: 0,
                    max: 65535,
                    clamp: false,
                    words: &["ANY"],
                },
            )
            .or("ANY"),
            may(
                "TRANSPORTPROTOCOL",
                Kind::Int {
                    min: 0,
                    max: 255,
                    clamp: false,
                    words: &["ANY", "ESP", "GRE", "ICMP", "OSPF", "RSVP", "TCP", "UDP"],
                },
            )
            .or("ANY"),
            may("DFBIT", Kind::Enum(&["SET", "COPY", "CLEAR"])).or("CLEAR"),
            may("GROUP", Kind::Enum(&["0", "1", "2", "5", "14"])).or("1"),
            may("ICMPTYPE", Kind::Enum(&["NDALL"])).or("none"),
            may(
                "IPROUTETEMPLATE",
                Kind::Text {
                    max: 31,
                    words: &[],
                },
            )
            .or("none"),
            may(
                "ISAKMPPOLICY",
                Kind::Text {
                    max: 24,
                    words: &[],
                },
            )
            .or("none"),
            may("SRCINTERFACE", Kind::Interface).or("the one that the packet leaves by"),
            may("UDPFRAMING", Kind::Enum(&["V1", "RAW"])),
            may("UDPHEARTBEAT", Kind::Bool).or("FALSE"),
            may(
                "UDPPORT",
                Kind::Int {
                    min: 0,
                    max: 65535,
                    clamp: false,
                    words: &[],
                },
            )
            .or("2746"),
            may("UDPTUNNEL", Kind::Bool).or("FALSE"),
            may("USEPFSKEY", Kind::Bool).or("FALSE"),
            may(
                "POSITION",
                Kind::Int {
                    min: 1,
                    max: 100,
                    clamp: false,
                    words: &[],
                },
            )
            .or("the end of the list"),
            may("RESPONDBADSPI", Kind::Bool).or("FALSE"),
        ],
    },
    Spec {
        verb: "CREATE",
        object: &["IPSEC", "SASPECIFICATION"],
        params: &[
            must(
                "SASPECIFICATION",
                Kind::Int {
                    min: 0,
                    max: 255,
                    clamp: false,
                    words: &[],
                },
            ),
            must("KEYMANAGEMENT", Kind::Enum(&["ISAKMP", "MANUAL"])),
            must("PROTOCOL", Kind::Enum(&["AH", "ESP"])),
            may("MODE", Kind::Enum(&["TRANSPORT", "TUNNEL"])).or("TUNNEL"),
            may(
                "ENCALG",
                Kind::Enum(&["DES", "3DESOUTER", "AES128", "AES192", "AES256", "NULL"]),
            ),
            may(
                "ENCKEY",
                Kind::Int {
                    min: 0,
                    max: 65535,
                    clamp: false,
                    words: &[],
                },
            ),
            may("HASHALG", Kind::Enum(&["MD5", "NULL", "SHA"])),
            may(
                "HASHKEY",
                Kind::Int {
                    min: 0,
                    max: 65535,
                    clamp: false,
                    words: &[],
                },
            ),
            may(
                "INSPI",
                Kind::Int {
                    min: 0,
                    max: 4294967295,
                    clamp: false,
                    words: &[],
                },
            ),
            may(
                "OUTSPI",
                Kind::Int {
                    min: 0,
                    max: 4294967295,
                    clamp: false,
                    words: &[],
                },
            ),
            may("ANTIREPLAYENABLED", Kind::Bool).or("FALSE"),
            may("REPLAYWINDOWSIZE", Kind::Enum(&["32", "64", "128", "256"])).or("32"),
        ],
    },
    Spec {
        verb: "CREATE",
        object: &["ISAKMP", "POLICY"],
        params: &[
            must(
                "POLICY",
                Kind::Text {
                    max: 24,
                    words: &[],
                },
            ),
            must(
                "PEER",
                Kind::Address {
                    range: false,
                    host: true,
                    words: &["ANY"],
                },
            ),
            may("IPVERSION", Kind::Enum(&["4", "6"])).or("4"),
            may("AUTHTYPE", Kind::Enum(&["PRESHARED", "RSASIG"])).or("PRESHARED"),
            may(
                "DELETEDELAY",
                Kind::Int {
                    min: 0,
                    max: 30,
                    clamp: false,
                    words: &[],
                },
            )
            .or("30"),
            may(
                "DHEXPONENTLENGTH",
                Kind::Int {
                    min: 160,
                    max: 2047,
                    clamp: false,
                    words: &[],
                },
            )
            .or("160"),
            may(
                "DPDIDLETIMEOUT",
                Kind::Int {
                    min: 1,
                    max: 86400,
                    clamp: false,
                    words: &[],
                },
            )
            .or("20"),
            may("DPDMODE", Kind::Enum(&["BOTH", "NONE", "RECEIVE"])).or("NONE"),
            may(
                "ENCALG",
                Kind::Enum(&["DES", "3DESOUTER", "AES128", "AES192", "AES256"]),
            )
            .or("DES"),
            may(
                "EXPIRYKBYTES",
                Kind::Int {
                    min: 1,
                    max: 1000,
                    clamp: false,
                    words: &[],
                },
            )
            .or("unlimited"),
            may(
                "EXPIRYSECONDS",
                Kind::Int {
                    min: 600,
                    max: 31449600,
                    clamp: false,
                    words: &[],
                },
            )
            .or("86400"),
            may("GROUP", Kind::Enum(&["0", "1", "2", "5", "14"])).or("1"),
            may("HASHALG", Kind::Enum(&["SHA", "MD5"])).or("SHA"),
            may(
                "HEARTBEATMODE",
                Kind::Enum(&["BOTH", "NONE", "RECEIVE", "SEND"]),
            )
            .or("NONE"),
            may("HYBRIDXAUTH", Kind::Bool).or("OFF"),
            may(
                "KEY",
                Kind::Int {
                    min: 0,
                    max: 65535,
                    clamp: false,
                    words: &[],
                },
            ),
            may("LOCALID", Kind::Id).or("its address, with RSASIG its distinguished name"),
            may(
                "LOCALRSAKEY",
                Kind::Int {
                    min: 0,
                    max: 65535,
                    clamp: false,
                    words: &[],
                },
            )
            .or("that of ENABLE ISAKMP"),
            may("MODE", Kind::Enum(&["MAIN", "AGGRESSIVE"])).or("MAIN"),
            may("MSGBACKOFF", Kind::Enum(&["INCREMENTAL", "NONE"])).or("INCREMENTAL"),
            may(
                "MSGRETRYLIMIT",
                Kind::Int {
                    min: 0,
                    max: 1024,
                    clamp: false,
                    words: &[],
                },
            )
            .or("8"),
            may(
                "MSGTIMEOUT",
                Kind::Int {
                    min: 1,
                    max: 86400,
                    clamp: false,
                    words: &[],
                },
            )
            .or("4"),
            may("NATTRAVERSAL", Kind::Bool).or("FALSE"),
            may(
                "PHASE2XCHGLIMIT",
                Kind::Int {
                    min: 1,
                    max: 1024,
                    clamp: false,
                    words: &["NONE"],
                },
            )
            .or("NONE"),
            may("POLICYFILENAME", Kind::File { ext: ".scp" }).or("none"),
            may("PRENEGOTIATE", Kind::Bool).or("FALSE"),
            may("REMOTEID", Kind::Id).or("the peer's address"),
            may("REKEY", Kind::Bool).or("FALSE"),
            may(
                "RETRYIKEATTEMPTS",
                Kind::Int {
                    min: 0,
                    max: 16,
                    clamp: false,
                    words: &["CONTINUOUS"],
                },
            )
            .or("0"),
            may("SENDDELETES", Kind::Bool).or("FALSE"),
            may("SENDNOTIFY", Kind::Bool).or("FALSE"),
            may("SENDIDALWAYS", Kind::Bool).or("FALSE"),
            may("SETCOMMITBIT", Kind::Bool).or("FALSE"),
            may("SRCINTERFACE", Kind::Interface).or("none"),
            may("XAUTH", Kind::Enum(&["CLIENT", "SERVER", "NONE"])).or("NONE"),
            may(
                "XAUTHNAME",
                Kind::Text {
                    max: 64,
                    words: &[],
                },
            )
            .or("none"),
            may(
                "XAUTHPASSWORD",
                Kind::Text {
                    max: 64,
                    words: &[],
                },
            )
            .or("none"),
            may("XAUTHTYPE", Kind::Enum(&["GENERIC", "RADIUS"])).or("GENERIC"),
        ],
    },
    Spec {
        verb: "DELETE",
        object: &["IP", "ROUTE", "TEMPLATE"],
        params: &[must(
            "TEMPLATE",
            Kind::Text {
                max: 31,
                words: &[],
            },
        )],
    },
    Spec {
        verb: "DESTROY",
        object: &["ENCO", "KEY"],
        params: &[must(
            "KEY",
            Kind::Int {
                min: 0,
                max: 65535,
                clamp: false,
                words: &[],
            },
        )],
    },
    Spec {
        verb: "DESTROY",
        object: &["IPSEC", "BUNDLESPECIFICATION"],
        params: &[must(
            "BUNDLESPECIFICATION",
            Kind::Int {
                min: 0,
                max: 255,
                clamp: false,
                words: &[],
            },
        )],
    },
    Spec {
        verb: "DESTROY",
        object: &["IPSEC", "POLICY"],
        params: &[
            must(
                "POLICY",
                Kind::Text {
                    max: 23,
                    words: &[],
                },
            ),
            may(
                "SABUNDLE",
                Kind::Int {
                    min: 0,
                    max: 65535,
                    clamp: false,
                    words: &[],
                },
            ),
        ],
    },
    Spec {
        verb: "DESTROY",
        object: &["IPSEC", "SASPECIFICATION"],
        params: &[must(
            "SASPECIFICATION",
            Kind::Int {
                min: 0,
                max: 255,
                clamp: false,
                words: &[],
            },
        )],
    },
    Spec {
        verb: "DESTROY",
        object: &["ISAKMP", "POLICY"],
        params: &[must(
            "POLICY",
            Kind::Text {
                max: 24,
                words: &[],
            },
        )],
    },
    Spec {
        verb: "DISABLE",
        object: &["FIREWALL", "POLICY"],
        params: &[
            must(
                "POLICY",
                Kind::Text {
                    max: 255,
                    words: &[],
                },
            ),
            may("IDENTPROXY", Kind::Flag),
        ],
    },
    Spec {
        verb: "DISABLE",
        object: &["IPSEC"],
        params: &[],
    },
    Spec {
        verb: "DISABLE",
        object: &["IPSEC", "POLICY", "DEBUG"],
        params: &[
            must(
                "POLICY",
                Kind::Text {
                    max: 23,
                    words: &["ALL"],
                },
            ),
            must("DEBUG", Kind::Enum(&["ALL", "FILTER", "PACKET", "TRACE"])),
            may("DIRECTION", Kind::Enum(&["ALL", "IN", "OUT"])).or("ALL"),
            may(
                "DISPLAY",
                Kind::Enum(&["ALL", "BUFFERHEADER", "DATA", "IPHEADER"]),
            )
            .or("ALL"),
            may("RESULT", Kind::Enum(&["ALL", "FAIL", "PASS"])).or("ALL"),
            may(
                "SELECTOR",
                Kind::Enum(&[
                    "ALL",
                    "LADDRESS",
                    "LNAME",
                    "LPORT",
                    "RADDRESS",
                    "RNAME",
                    "RPORT",
                    "TRANSPORTPROTOCOL",
                ]),
            )
            .or("ALL"),
            may("WHERE", Kind::Enum(&["ALL", "IPSEC", "PROTOCOL"])).or("ALL"),
        ],
    },
    Spec {
        verb: "DISABLE",
        object: &["ISAKMP"],
        params: &[],
    },
    Spec {
        verb: "DISABLE",
        object: &["ISAKMP", "DEBUG"],
        params: &[must(
            "DEBUG",
            Kind::Enum(&[
                "ALL",
                "DEFAULT",
                "PACKET",
                "PKT",
                "PKTRAW",
                "STATE",
                "TRACE",
                "TRACEMORE",
            ]),
        )],
    },
    Spec {
        verb: "DISABLE",
        object: &["SYSTEM", "SECURITY", "MODE"],
        params: &[],
    },
    Spec {
        verb: "ENABLE",
        object: &["FIREWALL"],
        params: &[],
    },
    Spec {
        verb: "ENABLE",
        object: &["FIREWALL", "POLICY"],
        params: &[
            must(
                "POLICY",
                Kind::Text {
                    max: 255,
                    words: &[],
                },
            ),
            may("ICMP_F", Kind::Enum(&["ALL"])),
        ],
    },
    Spec {
        verb: "ENABLE",
        object: &["IP"],
        params: &[],
    },
    Spec {
        verb: "ENABLE",
        object: &["IPV6"],
        params: &[],
    },
    Spec {
        verb: "ENABLE",
        object: &["IP", "REMOTEASSIGN"],
        params: &[],
    },
    Spec {
        verb: "ENABLE",
        object: &["IPSEC"],
        params: &[],
    },
    Spec {
        verb: "ENABLE",
        object: &["IPSEC", "POLICY", "DEBUG"],
        params: &[
            may(
                "POLICY",
                Kind::Text {
                    max: 23,
                    words: &[],
                },
            ),
            must("DEBUG", Kind::Enum(&["ALL", "FILTER", "PACKET", "TRACE"])),
            may("DIRECTION", Kind::Enum(&["ALL", "IN", "OUT"])).or("ALL"),
            may(
                "DISPLAY",
                Kind::Enum(&["ALL", "BUFFERHEADER", "DATA", "IPHEADER"]),
            )
            .or("ALL"),
            may("RESULT", Kind::Enum(&["ALL", "FAIL", "PASS"])).or("ALL"),
            may(
                "SELECTOR",
                Kind::Enum(&[
                    "ALL",
                    "LADDRESS",
                    "LNAME",
                    "LPORT",
                    "RADDRESS",
                    "RNAME",
                    "RPORT",
                    "TRANSPORTPROTOCOL",
                ]),
            )
            .or("ALL"),
            may("WHERE", Kind::Enum(&["ALL", "IPSEC", "PROTOCOL"])).or("ALL"),
        ],
    },
    Spec {
        verb: "ENABLE",
        object: &["ISAKMP"],
        params: &[
            may(
                "LOCALRSAKEY",
                Kind::Int {
                    min: 0,
                    max: 65535,
                    clamp: false,
                    words: &[],
                },
            )
            .or("none"),
            may("POLICYSERVERENABLED", Kind::Bool).or("FALSE"),
            may("POLICYFILENAME", Kind::File { ext: ".scp" }).or("none"),
            may(
                "UDPPORT",
                Kind::Int {
                    min: 1,
                    max: 65535,
                    clamp: false,
                    words: &[],
                },
            )
            .or("500"),
        ],
    },
    Spec {
        verb: "ENABLE",
        object: &["ISAKMP", "DEBUG"],
        params: &[must(
            "DEBUG",
            Kind::Enum(&[
                "ALL",
                "DEFAULT",
                "PACKET",
                "PKT",
                "PKTRAW",
                "STATE",
                "TRACE",
                "TRACEMORE",
            ]),
        )],
    },
    Spec {
        verb: "ENABLE",
        object: &["SYSTEM", "SECURITY", "MODE"],
        params: &[],
    },
    Spec {
        verb: "LOGIN",
        object: &[],
        params: &[must(
            "name",
            Kind::Text {
                max: 255,
                words: &[],
            },
        )],
    },
    Spec {
        verb: "PURGE",
        object: &["IPSEC"],
        params: &[],
    },
    Spec {
        verb: "RESET",
        object: &["IPSEC", "COUNTER"],
        params: &[may(
            "COUNTER",
            Kind::List(&["AH", "ALG", "ESP", "MAIN", "SAD", "SETUP", "SPD", "ALL"]),
        )],
    },
    Spec {
        verb: "RESET",
        object: &["IPSEC", "POLICY"],
        params: &[must(
            "POLICY",
            Kind::Text {
                max: 23,
                words: &[],
            },
        )],
    },
    Spec {
        verb: "RESET",
        object: &["IPSEC", "POLICY", "COUNTER"],
        params: &[
            must(
                "POLICY",
                Kind::Text {
                    max: 23,
                    words: &[],
                },
            ),
            must("COUNTER", Kind::Flag),
        ],
    },
    Spec {
        verb: "RESET",
        object: &["IPSEC", "SA", "COUNTER"],
        params: &[
            must(
                "SA",
                Kind::Int {
                    min: 0,
                    max: 65535,
                    clamp: false,
                    words: &[],
                },
            ),
            must("COUNTER", Kind::Flag),
        ],
    },
    Spec {
        verb: "RESET",
        object: &["ISAKMP", "COUNTER"],
        params: &[may(
            "COUNTER",
            Kind::Enum(&[
                "GENERAL",
                "MAIN",
                "QUICK",
                "SAD",
                "SPD",
                "XDB",
                "IPSEC",
                "INFO",
                "AGGRESSIVE",
                "NETWORK",
                "TRANSACTION",
                "DPD",
                "HEARTBEAT",
            ]),
        )],
    },
    Spec {
        verb: "RESET",
        object: &["ISAKMP", "POLICY"],
        params: &[must(
            "POLICY",
            Kind::Text {
                max: 24,
                words: &[],
            },
        )],
    },
    Spec {
        verb: "SET",
        object: &["CONFIG"],
        params: &[must("CONFIG", Kind::File { ext: ".cfg" })],
    },
    Spec {
        verb: "SET",
        object: &["ENCO", "DHPADDING"],
        params: &[must("DHPADDING", Kind::Bool)],
    },
    Spec {
        verb: "SET",
        object: &["FIREWALL", "POLICY"],
        params: &[
            must(
                "POLICY",
                Kind::Text {
                    max: 255,
                    words: &[],
                },
            ),
            must(
                "RULE",
                Kind::Int {
                    min: 0,
                    max: 4294967295,
                    clamp: false,
                    words: &[],
                },
            ),
            may("REMOTEIP", Kind::IpRange),
        ],
    },
    Spec {
        verb: "SET",
        object: &["IPSEC", "BUNDLESPECIFICATION"],
        params: &[
            must(
                "BUNDLESPECIFICATION",
                Kind::Int {
                    min: 0,
                    max: 255,
                    clamp: false,
                    words: &[],
                },
            ),
            may(
                "EXPIRYKBYTES",
                Kind::Int {
                    min: 1,
                    max: 4193280,
                    clamp: true,
                    words: &[],
                },
            ),
            may(
                "EXPIRYSECONDS",
                Kind::Int {
                    min: 300,
                    max: 31449600,
                    clamp: false,
                    words: &[],
                },
            ),
        ],
    },
    Spec {
        verb: "SET",
        object: &["IPSEC", "POLICY"],
        params: &[
            must(
                "POLICY",
                Kind::Text {
                    max: 23,
                    words: &[],
                },
            ),
            may("ACTION", Kind::Enum(&["DENY", "IPSEC", "PERMIT"])),
            may(
                "BUNDLESPECIFICATION",
                Kind::Int {
                    min: 0,
                    max: 255,
                    clamp: false,
                    words: &[],
                },
            ),
            may(
                "PEERADDRESS",
                Kind::Address {
                    range: false,
                    host: true,
                    words: &["ANY", "DYNAMIC"],
                },
            ),
            may("IPVERSION", Kind::Enum(&["4", "6"])),
            may(
                "LADDRESS",
                Kind::Address {
                    range: true,
                    host: false,
                    words: &["ANY"],
                },
            ),
            may("LMASK", Kind::Mask),
            may(
                "LNAME",
                Kind::Text {
                    max: 120,
                    words: &["ANY"],
                },
            ),
            may(
                "LPORT",
                Kind::Int {
                    min: 0,
                    max: 65535,
                    clamp: false,
                    words: &["ANY"],
                },
            ),
            may(
                "RADDRESS",
                Kind::Address {
                    range: true,
                    host: false,
                    words: &["ANY"],
                },
            ),
            may("RMASK", Kind::Mask),
            may(
                "RNAME",
                Kind::Text {
                    max: 120,
                    words: &["ANY"],
                },
            ),
            may(
                "RPORT",
                Kind::Int {
                    min: 0,
                    max: 65535,
                    clamp: false,
                    words: &["ANY"],
                },
            ),
            may(
                "TRANSPORTPROTOCOL",
                Kind::Int {
                    min: 0,
                    max: 255,
                    clamp: false,
                    words: &["ANY", "ESP", "GRE", "ICMP", "OSPF", "RSVP", "TCP", "UDP"],
                },
            ),
            may("DFBIT", Kind::Enum(&["SET", "COPY", "CLEAR"])),
            may("GROUP", Kind::Enum(&["0", "1", "2", "5", "14"])),
            may("ICMPTYPE", Kind::Enum(&["NDALL"])),
            may(
                "IPROUTETEMPLATE",
                Kind::Text {
                    max: 31,
                    words: &[],
                },
            ),
            may(
                "ISAKMPPOLICY",
                Kind::Text {
                    max: 24,
                    words: &[],
                },
            ),
            may("SRCINTERFACE", Kind::Interface),
            may("UDPFRAMING", Kind::Enum(&["V1", "RAW"])),
            may("UDPHEARTBEAT", Kind::Bool),
            may(
                "UDPPORT",
                Kind::Int {
                    min: 0,
                    max: 65535,
                    clamp: false,
                    words: &[],
                },
            ),
            may("UDPTUNNEL", Kind::Bool),
            may("USEPFSKEY", Kind::Bool),
            may(
                "POSITION",
                Kind::Int {
                    min: 1,
                    max: 100,
                    clamp: false,
                    words: &[],
                },
            ),
            may("RESPONDBADSPI", Kind::Bool),
        ],
    },
    Spec {
        verb: "SET",
        object: &["IPSEC", "SASPECIFICATION"],
        params: &[
            must(
                "SASPECIFICATION",
                Kind::Int {
                    min: 0,
                    max: 255,
                    clamp: false,
                    words: &[],
                },
            ),
            may("MODE", Kind::Enum(&["TRANSPORT", "TUNNEL"])),
            may(
                "ENCALG",
                Kind::Enum(&["DES", "3DESOUTER", "AES128", "AES192", "AES256", "NULL"]),
            ),
            may(
                "ENCKEY",
                Kind::Int {
                    min: 0,
                    max: 65535,
                    clamp: false,
                    words: &[],
                },
            ),
            may("HASHALG", Kind::Enum(&["MD5", "NULL", "SHA"])),
            may(
                "HASHKEY",
                Kind::Int {
                    min: 0,
                    max: 65535,
                    clamp: false,
                    words: &[],
                },
            ),
            may(
                "INSPI",
                Kind::Int {
                    min: 0,
                    max: 4294967295,
                    clamp: false,
                    words: &[],
                },
            ),
            may(
                "OUTSPI",
                Kind::Int {
                    min: 0,
                    max: 4294967295,
                    clamp: false,
                    words: &[],
                },
            ),
            may("ANTIREPLAYENABLED", Kind::Bool),
            may("REPLAYWINDOWSIZE", Kind::Enum(&["32", "64", "128", "256"])),
        ],
    },
    Spec {
        verb: "SET",
        object: &["IPSEC", "UDPPORT"],
        params: &[must(
            "UDPPORT",
            Kind::Int {
                min: 0,
                max: 65535,
                clamp: false,
                words: &[],
            },
        )],
    },
    Spec {
        verb: "SET",
        object: &["ISAKMP", "POLICY"],
        params: &[
            must(
                "POLICY",
                Kind::Text {
                    max: 24,
                    words: &[],
                },
            ),
            may(
                "PEER",
                Kind::Address {
                    range: false,
                    host: true,
                    words: &["ANY"],
                },
            ),
            may("AUTHTYPE", Kind::Enum(&["PRESHARED", "RSASIG"])),
            may(
                "DELETEDELAY",
                Kind::Int {
                    min: 0,
                    max: 30,
                    clamp: false,
                    words: &[],
                },
            ),
            may(
                "DHEXPONENTLENGTH",
                Kind::Int {
                    min: 160,
                    max: 2047,
                    clamp: false,
                    words: &[],
                },
            ),
            may(
                "DPDIDLETIMEOUT",
                Kind::Int {
                    min: 1,
                    max: 86400,
                    clamp: false,
                    words: &[],
                },
            ),
            may("DPDMODE", Kind::Enum(&["BOTH", "NONE", "RECEIVE"])),
            may(
                "ENCALG",
                Kind::Enum(&["DES", "3DESOUTER", "AES128", "AES192", "AES256"]),
            ),
            may(
                "EXPIRYKBYTES",
                Kind::Int {
                    min: 1,
                    max: 1000,
                    clamp: false,
                    words: &[],
                },
            ),
            may(
                "EXPIRYSECONDS",
                Kind::Int {
                    min: 600,
                    max: 31449600,
                    clamp: false,
                    words: &[],
                },
            ),
            may("GROUP", Kind::Enum(&["0", "1", "2", "5", "14"])),
            may("HASHALG", Kind::Enum(&["SHA", "MD5"])),
            may(
                "HEARTBEATMODE",
                Kind::Enum(&["BOTH", "NONE", "RECEIVE", "SEND"]),
            ),
            may("HYBRIDXAUTH", Kind::Bool),
            may(
                "KEY",
                Kind::Int {
                    min: 0,
                    max: 65535,
                    clamp: false,
                    words: &[],
                },
            ),
            may("LOCALID", Kind::Id),
            may(
                "LOCALRSAKEY",
                Kind::Int {
                    min: 0,
                    max: 65535,
                    clamp: false,
                    words: &[],
                },
            ),
            may("MODE", Kind::Enum(&["MAIN", "AGGRESSIVE"])),
            may("MSGBACKOFF", Kind::Enum(&["INCREMENTAL", "NONE"])),
            may(
                "MSGRETRYLIMIT",
                Kind::Int {
                    min: 0,
                    max: 1024,
                    clamp: false,
                    words: &[],
                },
            ),
            may(
                "MSGTIMEOUT",
                Kind::Int {
                    min: 1,
                    max: 86400,
                    clamp: false,
                    words: &[],
                },
            ),
            may("NATTRAVERSAL", Kind::Bool),
            may(
                "PHASE2XCHGLIMIT",
                Kind::Int {
                    min: 1,
                    max: 1024,
                    clamp: false,
                    words: &["NONE"],
                },
            ),
            may("POLICYFILENAME", Kind::File { ext: ".scp" }),
            may("PRENEGOTIATE", Kind::Bool),
            may("REMOTEID", Kind::Id),
            may("REKEY", Kind::Bool),
            may(
                "RETRYIKEATTEMPTS",
                Kind::Int {
                    min: 0,
                    max: 16,
                    clamp: false,
                    words: &["CONTINUOUS"],
                },
            ),
            may("SENDDELETES", Kind::Bool),
            may("SENDNOTIFY", Kind::Bool),
            may("SENDIDALWAYS", Kind::Bool),
            may("SETCOMMITBIT", Kind::Bool),
            may("SRCINTERFACE", Kind::Interface),
            may("XAUTH", Kind::Enum(&["CLIENT", "SERVER", "NONE"])),
            may(
                "XAUTHNAME",
                Kind::Text {
                    max: 64,
                    words: &[],
                },
            ),
            may(
                "XAUTHPASSWORD",
                Kind::Text {
                    max: 64,
                    words: &[],
                },
            ),
            may("XAUTHTYPE", Kind::Enum(&["GENERIC", "RADIUS"])),
        ],
    },
    Spec {
        verb: "SET",
        object: &["SYSTEM", "DISTINGUISHEDNAME"],
        params: &[must("DISTINGUISHEDNAME", Kind::Id)],
    },
    Spec {
        verb: "SHOW",
        object: &["PKI", "CERTIFICATE"],
        params: &[may(
            "CERTIFICATE",
            Kind::Text {
                max: 24,
                words: &[],
            },
        )],
    },
    Spec {
        verb: "SHOW",
        object: &["RADIUS"],
        params: &[],
    },
    Spec {
        verb: "SHOW",
        object: &["CONFIG"],
        params: &[
            may("CONFIG", Kind::Flag),
            may("DYNAMIC", Kind::Enum(&["ISAKMP", "IPSEC"])).bare(),
        ],
    },
    Spec {
        verb: "SHOW",
        object: &["ENCO", "KEY"],
        params: &[must(
            "KEY",
            Kind::Int {
                min: 0,
                max: 65535,
                clamp: false,
                words: &[],
            },
        )],
    },
    Spec {
        verb: "SHOW",
        object: &["IPSEC"],
        params: &[],
    },
    Spec {
        verb: "SHOW",
        object: &["IPSEC", "BUNDLESPECIFICATION"],
        params: &[may(
            "BUNDLESPECIFICATION",
            Kind::Int {
                min: 0,
                max: 255,
                clamp: false,
                words: &[],
            },
        )],
    },
    Spec {
        verb: "SHOW",
        object: &["IPSEC", "COUNTERS"],
        params: &[may(
            "COUNTERS",
            Kind::List(&["AH", "ALG", "ESP", "MAIN", "SAD", "SETUP", "SPD"]),
        )],
    },
    Spec {
        verb: "SHOW",
        object: &["IPSEC", "ISAKMP"],
        params: &[],
    },
    Spec {
        verb: "SHOW",
        object: &["IPSEC", "POLICY"],
        params: &[
            may(
                "POLICY",
                Kind::Text {
                    max: 23,
                    words: &[],
                },
            ),
            may("SABUNDLE", Kind::Flag),
            may("COUNTERS", Kind::Flag),
        ],
    },
    Spec {
        verb: "SHOW",
        object: &["IPSEC", "SA"],
        params: &[
            may(
                "SA",
                Kind::Int {
                    min: 0,
                    max: 65535,
                    clamp: false,
                    words: &[],
                },
            ),
            may("COUNTERS", Kind::Flag),
        ],
    },
    Spec {
        verb: "SHOW",
        object: &["IPSEC", "SASPECIFICATION"],
        params: &[may(
            "SASPECIFICATION",
            Kind::Int {
                min: 0,
                max: 255,
                clamp: false,
                words: &[],
            },
        )],
    },
    Spec {
        verb: "SHOW",
        object: &["ISAKMP"],
        params: &[],
    },
    Spec {
        verb: "SHOW",
        object: &["ISAKMP", "COUNTERS"],
        params: &[may(
            "COUNTERS",
            Kind::Enum(&[
                "AGGRESSIVE",
                "GENERAL",
                "DPD",
                "HEARTBEAT",
                "INFO",
                "IPSEC",
                "MAIN",
                "NETWORK",
                "QUICK",
                "SAD",
                "SPD",
                "TRANSACTION",
                "XDB",
            ]),
        )],
    },
    Spec {
        verb: "SHOW",
        object: &["ISAKMP", "EXCHANGE"],
        params: &[may(
            "EXCHANGE",
            Kind::Int {
                min: 0,
                max: 4294967295,
                clamp: false,
                words: &[],
            },
        )],
    },
    Spec {
        verb: "SHOW",
        object: &["ISAKMP", "POLICY"],
        params: &[may(
            "POLICY",
            Kind::Text {
                max: 24,
                words: &[],
            },
        )],
    },
    Spec {
        verb: "SHOW",
        object: &["ISAKMP", "SA"],
        params: &[may(
            "SA",
            Kind::Int {
                min: 0,
                max: 65535,
                clamp: false,
                words: &[],
            },
        )],
    },
    Spec {
        verb: "SHOW",
        object: &["LOG"],
        params: &[
            may("LOG", Kind::Flag),
            may("MODULE", Kind::Enum(&["ISAK", "IPSE"])),
            may("TYPE", Kind::Enum(&["IKMP", "IPSC"])),
        ],
    },
];
