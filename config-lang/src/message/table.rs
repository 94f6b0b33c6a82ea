//! The messages. A number that was printed once stays with its sentence.

use super::Module::{Command, Enco, Ip, Ipsec, Isakmp, Pki, Radius, System};
use super::{Row, Severity};

/// Rows, and the table of them all.
macro_rules! rows {
    ($(
        $(#[doc = $doc:literal])+
        $(#[cfg($($cfg:tt)+)])?
        $name:ident = $severity:ident $number:literal by [$($module:ident),+]:
            $text:literal => $advice:literal;
    )+) => {
        $(
            $(#[doc = $doc])+
            $(#[cfg($($cfg)+)])?
            pub static $name: Row = Row {
                name: stringify!($name),
                severity: Severity::$severity,
                number: $number,
                modules: &[$($module),+],
                text: $text,
                advice: $advice,
            };
        )+

        /// Every message.
        pub static TABLE: &[&Row] = &[$($(#[cfg($($cfg)+)])? &$name),+];
    };
}

rows! {
    /// A command was carried out.
    DONE = Info 3 by [Ip, Enco, Ipsec, Isakmp, Pki, Radius, System]:
        "Operation successful" => "";
    /// ENABLE IPSEC POLICY DEBUG.
    IPSEC_WATCHED = Info 57 by [Ipsec]:
        "IPSEC Policy Debugging has been enabled" => "";
    /// DISABLE IPSEC POLICY DEBUG.
    IPSEC_UNWATCHED = Info 58 by [Ipsec]:
        "IPSEC Policy Debugging has been disabled" => "";
    /// ENABLE ISAKMP DEBUG.
    ISAKMP_WATCHED = Info 57 by [Isakmp]:
        "ISAKMP Debugging has been enabled" => "";
    /// DISABLE ISAKMP DEBUG.
    ISAKMP_UNWATCHED = Info 58 by [Isakmp]:
        "ISAKMP Debugging has been disabled" => "";

    /// A command of a chapter that this router does not have.
    FOREIGN = Warning 1 by [Command]:
        "{} is not part of this router; nothing was changed" => "leave the line out";
    /// A policy with the smallest group.
    GROUP_0 = Warning 20 by [Ipsec, Isakmp]:
        "GROUP=0 has 512 bits, which anybody can break in hours"
        => "use it only where the peer has no other group";
    /// ESP that anybody can change.
    NULL_HASH = Warning 21 by [Ipsec]:
        "ESP with HASHALG=NULL lets anybody change packets unnoticed"
        => "use it only together with AH";
    /// A bundle in the wrong order.
    AH_FIRST = Warning 22 by [Ipsec]:
        "AH before ESP authenticates what is only then enciphered"
        => "write the ESP specification first";
    /// A policy whose packets nobody can answer.
    NETWORK_SOURCE = Warning 23 by [Ipsec, Isakmp]:
        "policy {} sends from {}, the address of the network itself, to which nobody can answer"
        => "name another interface by SRCINTERFACE, or add a logical one with a host's address";
    /// An SPI that RFC 4303 §2.1 reserves.
    RESERVED_SPI = Warning 29 by [Ipsec]:
        "{}={} is one of the SPIs up to 255, which are reserved" => "choose one from 256 on";
    /// An algorithm that is broken, or nearly.
    WEAK_SUITE = Warning 24 by [Ipsec, Isakmp]:
        "{} uses {}, which is weak"
        => "take ENCALG=AES128, HASHALG=SHA and GROUP=2 or better, if the peer has them";
    /// A policy that is never reached.
    SHADOWED = Warning 25 by [Ipsec]:
        "policy {} never matches, as policy {} before it on {} takes all its packets"
        => "put it before that one with POSITION";
    /// A policy that is never reached, and no single other is the reason.
    SHADOWED_TOGETHER = Warning 28 by [Ipsec]:
        "policy {} never matches, as the policies {} before it on {} together take all its packets"
        => "put it before them with POSITION";
    /// A policy whose packets go nowhere before it sees them.
    UNROUTED = Warning 30 by [Ipsec]:
        "no route leads to {}, which policy {} is to protect on {}"
        => "ADD IP ROUTE or ADD IPV6 ROUTE to it with that INTERFACE";
    /// A policy whose negotiation or tunnel the SPD itself stops.
    UNHEARD = Warning 26 by [Ipsec]:
        "policy {} needs it, but no policy of {} permits UDP from port {} to port {}"
        => "CREATE IPSEC POLICY with ACTION=PERMIT TRANSPORTPROTOCOL=UDP and that LPORT before it";
    /// Aggressive mode shows a hash that can be tried against guessed keys.
    AGGRESSIVE_KEY = Warning 22 by [Isakmp]:
        "with MODE=AGGRESSIVE, ISAKMP policy {} shows everybody a hash to guess its KEY by"
        => "take MODE=MAIN or AUTHTYPE=RSASIG, else a random KEY";
    /// A policy that nobody is named in cannot begin.
    NOBODY_FIRST = Warning 27 by [Isakmp]:
        "ISAKMP policy {} has PEER=ANY and nobody to prenegotiate with"
        => "name the peer, or leave PRENEGOTIATE out";
    /// A key that could be guessed.
    SHORT_KEY = Warning 1 by [Enco]:
        "key {} is a pre-shared key of {} bytes, which can be guessed"
        => "create it with RANDOM and LENGTH=16 or more";
    /// A key that stands for nothing.
    UNUSED_KEY = Warning 2 by [Enco]:
        "nothing uses key {}" => "destroy it, or name it where it is meant";
    /// A policy that could not accept anybody.
    NO_AUTHORITY = Warning 21 by [Isakmp]:
        "AUTHTYPE=RSASIG without KEY accepts no peer before there is a trusted certificate"
        => "ADD PKI CERTIFICATE with TYPE=CA TRUSTED=YES";

    /// A word that nothing begins with.
    UNKNOWN_WORD = Error 1 by [Command]:
        "{}" => "type ? in its place for what may stand there";
    /// A word that several begin with.
    AMBIGUOUS = Error 2 by [Command]:
        "{}" => "write more letters of the one that is meant";
    /// A parameter twice.
    REPEATED = Error 3 by [Command]:
        "{}" => "leave one of them out";
    /// A parameter that is missing.
    INCOMPLETE = Error 4 by [Command]:
        "{}" => "add it";
    /// A value that is not of its kind.
    BAD_VALUE = Error 5 by [Command]:
        "{}" => "correct the value";
    /// A number or a length out of bounds.
    OUT_OF_RANGE = Error 6 by [Command]:
        "{}" => "choose a value within the bounds";
    /// Quotes and equals signs.
    BAD_QUOTES = Error 7 by [Command]:
        "{}" => "write NAME=VALUE, or NAME=\"A VALUE WITH BLANKS\"";

    /// Parameters that contradict each other or what they refer to.
    CONFLICT = Error 10 by [Ipsec, Isakmp]:
        "{}" => "change one of the parameters named";
    /// A command about something that is not there.
    MISSING = Error 11 by [Ip, Enco, Ipsec, Isakmp, Pki, Radius, System]:
        "{} {} does not exist" => "name one that exists; SHOW tells which";
    /// A second one of the same name.
    EXISTS = Error 12 by [Ip, Enco, Ipsec, Isakmp, Pki, Radius, System]:
        "{} {} exists already" => "choose another name, or remove the old one first";
    /// Something that goes while others refer to it.
    IN_USE = Error 13 by [Ip, Enco, Ipsec]:
        "{} {} is used by {}" => "change or remove that first";
    /// A policy that is not compiled into the packet path.
    NOT_IN_FORCE = Error 14 by [Ipsec]:
        "{} in force" => "ENABLE IPSEC first";
    /// SET IPSEC UDPPORT=0.
    PORT_ZERO = Error 19 by [Ipsec]:
        "UDPPORT=0: nothing can be received on port 0" => "choose a port from 1 to 65535";
    /// A parameter that others make necessary.
    REQUIRED = Error 30 by [Ipsec, Isakmp]:
        "{} is required {}" => "add it";
    /// A parameter that others exclude.
    ONLY_WITH = Error 31 by [Enco, Ipsec, Isakmp]:
        "{} is only valid {}" => "leave it out, or change what it depends on";
    /// The specifications of a bundle string do not go together.
    BAD_BUNDLE = Error 32 by [Ipsec]:
        "{}" => "correct STRING, or the specifications that it names";
    /// A parameter that refers to something that is not there.
    NO_SUCH = Error 33 by [Ipsec, Isakmp]:
        "{} {} does not exist" => "create it first, or name another";
    /// A key that does not fit its algorithm.
    KEY_LENGTH = Error 34 by [Ipsec]:
        "{}" => "name a key of that kind and length, or create one";
    /// A key of another kind.
    KEY_KIND = Error 35 by [Isakmp]:
        "{}" => "name a key of that kind, or create one";
    /// Records of different KEYMANAGEMENT.
    KEY_MANAGEMENT = Error 36 by [Ipsec]:
        "{}" => "give both the same KEYMANAGEMENT";
    /// A key under which a cipher is none.
    WEAK_KEY = Error 37 by [Ipsec]:
        "{}" => "create another key with RANDOM";

    /// Two sources for one key.
    KEY_TWICE = Error 2 by [Enco]:
        "{} and {} exclude each other" => "leave one of them out";
    /// No source for a key.
    KEY_NOWHERE = Error 3 by [Enco]:
        "{} or RANDOM is required" => "add one of them";
    /// A value that cannot be a key of its type.
    BAD_KEY = Error 5 by [Enco]:
        "{}" => "correct VALUE or LENGTH as TYPE demands it";
    /// A file without an RSA key.
    BAD_RSA_KEY = Error 6 by [Enco]:
        "the value is no RSA key of 1024 to 8192 bits with a public exponent of 65537 or more"
        => "name a file with such a key, or write it as 0x and hexadecimal digits";
    /// RANDOM with a length that no RSA key has.
    RSA_LENGTH = Error 7 by [Enco]:
        "LENGTH of an RSA key is 1024 to 8192 bits" => "choose a length within the bounds";
    /// The engine does not take the job that makes the key.
    ENGINE_BUSY = Error 9 by [Enco]:
        "the crypto engine is busy" => "give the command again when the running jobs are done";
    /// A file that is not there.
    NO_FILE = Error 10 by [Enco, Pki, System]:
        "the file {} does not exist" => "put it there, or name another";
    /// No randomness for a key or a salt.
    NO_ENTROPY = Error 14 by [Enco, System]:
        "the source of randomness failed" => "give the command again; if that fails too, the hardware is broken";
    /// The ring has no room.
    KEYS_FULL = Error 15 by [Enco]:
        "there is no room for more than {} keys" => "destroy one that nothing uses";
    /// A build without RSA.
    #[cfg(not(feature = "rsa"))]
    NO_RSA = Error 16 by [Enco]:
        "this router was built without RSA" => "use AUTHTYPE=PRESHARED";

    /// An address that the router has.
    ADDRESS_TAKEN = Error 1 by [Ip]:
        "the address {} is configured already" => "choose another address";
    /// A route over an interface that IP does not know.
    NO_INTERFACE = Error 2 by [Ip]:
        "the interface {} has no IP configuration" => "ADD IP INTERFACE first";

    /// A file that holds no certificate that could be used.
    BAD_CERTIFICATE = Error 4 by [Pki]:
        "the certificate in the file {} cannot be used: {}" => "have it issued anew";
    /// An own certificate without its key.
    NO_PRIVATE_KEY = Error 5 by [Pki]:
        "no RSA key of this router belongs to the certificate in the file {}"
        => "CREATE ENCO KEY with TYPE=RSA first";
    /// TYPE=CA for a certificate that signs no others.
    NO_CA = Error 6 by [Pki]:
        "the certificate in the file {} is not that of a CA" => "give its TYPE as EE or SELF";
    /// A build without X.509.
    #[cfg(not(feature = "x509"))]
    NO_X509 = Error 7 by [Pki]:
        "this router was built without X.509" => "exchange the public keys by hand";

    /// Security mode with nobody to leave it to.
    NO_OFFICER = Error 5 by [System]:
        "security mode needs a user with PRIVILEGE=SECURITYOFFICER who may log in"
        => "ADD USER first";
    /// A user of a peer, not of the router.
    LOGIN_NO = Error 6 by [System]:
        "the user {} has LOGIN=NO" => "log in as another user";
    /// SET SYSTEM DISTINGUISHEDNAME.
    BAD_NAME = Error 7 by [System]:
        "{} is no distinguished name" => "write it as \"cn=name, o=company, c=country\"";
    /// A command beyond the session's rights.
    NO_RIGHTS = Error 9 by [System]:
        "this needs PRIVILEGE={}{}, the session has {}" => "LOGIN as such a user";
    /// LOGIN with a name or a password that is not right.
    WRONG_LOGIN = Error 15 by [System]:
        "the user name or the password is wrong" => "LOGIN again";
    /// LOGIN after too many that were wrong.
    LOGIN_LATER = Error 16 by [System]:
        "after too many wrong passwords LOGIN is refused for {} s" => "wait so long";
    /// CREATE CONFIG on a file system that refuses.
    NOT_WRITTEN = Error 8 by [System]:
        "the file {} could not be written: {}" => "choose another name, or make room";
}
