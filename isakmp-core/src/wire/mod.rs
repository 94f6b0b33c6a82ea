//! ISAKMP messages on the wire (RFC 2408 §3). Lengths from the wire are used here only.

mod attribute;
mod header;
mod payload;
mod sa;

pub use attribute::{Attribute, AttributeValue, Attributes};
pub use header::{Cookie, ExchangeType, Flags, HEADER, Header, MessageId};
pub use payload::{
    Delete, Identification, IdentityFault, Notify, NotifyType, Payload, PayloadType, Payloads, Raw,
    Writer,
};
pub use sa::{Proposal, Proposed, SaBody, Transform};

/// Why bytes are not a message. Nothing is known of the sender then, so it is only counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Shorter than its header, or a length field that disagrees with the bytes.
    #[error("a length field disagrees with the message")]
    Length,
    /// Not version 1.0.
    #[error("not ISAKMP version 1")]
    Version,
    /// More payloads, proposals, transforms or attributes than anybody needs.
    #[error("too many payloads, proposals, transforms or attributes")]
    TooMany,
    /// A field that must be zero or one of a few values is not.
    #[error("a field has a value that it cannot have")]
    Value,
    /// A data attribute class stands twice.
    #[error("an attribute is given twice")]
    Duplicate,
    /// A payload's body does not fit its type.
    #[error("the body of a payload does not fit its type")]
    Body(PayloadType),
}
