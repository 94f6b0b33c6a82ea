//! Public values made beforehand, for message 2 of Aggressive mode: a stranger's first message
//! costs no exponentiation.
//!
//! A value is lent to one exchange after the other, and replaced as soon as one of them got
//! further: then its initiator has proved that it receives what is sent to its address.

use alloc::vec::Vec;

use hw_offload::{DhGroup, Entropy, PublicJob, Secret, Ticket};

use crate::ask::Ask;
use crate::out::Out;
use crate::phase1::exponent;

/// Values per group.
const SIZE: usize = 4;

/// A private exponent and its public value, as long as the prime.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) exponent: Secret,
    pub(super) public: Vec<u8>,
}

#[derive(Debug)]
struct Lot {
    group: DhGroup,
    bits: u16,
    ready: Vec<Pair>,
    next: usize,
    asked: Option<(Ticket, Secret)>,
}

/// The values by group and length of the exponent.
#[derive(Debug, Default)]
pub(super) struct Pool(Vec<Lot>);

impl Pool {
    /// Keeps values for these groups and lengths, and for no others.
    pub(super) fn keep_for(&mut self, wanted: &[(DhGroup, u16)]) {
        self.0.retain(|lot| wanted.contains(&(lot.group, lot.bits)));
        for (group, bits) in wanted {
            if self.lot(*group, *bits).is_none() {
                self.0.push(Lot {
                    group: *group,
                    bits: *bits,
                    ready: Vec::new(),
                    next: 0,
                    asked: None,
                });
            }
        }
    }

    fn lot(&mut self, group: DhGroup, bits: u16) -> Option<&mut Lot> {
        self.0
            .iter_mut()
            .find(|lot| lot.group == group && lot.bits == bits)
    }

    /// Asks for what is missing, one value of each kind at a time. Without randomness it tries
    /// again the next time.
    pub(super) fn refill(&mut self, entropy: &mut dyn Entropy, out: &mut Out<'_>) {
        for lot in &mut self.0 {
            if lot.asked.is_some() || lot.ready.len() >= SIZE {
                continue;
            }
            let Some(own) = exponent(entropy, lot.bits) else {
                continue;
            };
            let (group, exponent) = (lot.group, own.duplicate());
            let ticket = out.ask(|ticket| {
                Ask::Public(PublicJob::DhPublic {
                    ticket,
                    group,
                    exponent,
                })
            });
            lot.asked = Some((ticket, own));
        }
    }

    /// A value that was asked for, or the end of the hope for it. False if nobody asked.
    pub(super) fn answer(&mut self, ticket: Ticket, public: Option<Vec<u8>>) -> bool {
        let asked = |lot: &&mut Lot| lot.asked.as_ref().is_some_and(|(own, _)| *own == ticket);
        let Some(lot) = self.0.iter_mut().find(asked) else {
            return false;
        };
        if let (Some((_, exponent)), Some(public)) = (lot.asked.take(), public) {
            lot.ready.push(Pair { exponent, public });
        }
        true
    }

    /// A value, if one is ready.
    pub(super) fn lend(&mut self, group: DhGroup, bits: u16) -> Option<Pair> {
        let lot = self.lot(group, bits)?;
        lot.next = (lot.next + 1) % lot.ready.len().max(1);
        let Pair { exponent, public } = lot.ready.get(lot.next)?;
        Some(Pair {
            exponent: exponent.duplicate(),
            public: public.clone(),
        })
    }

    /// The exponent of a value is about to be used: nobody else gets it any more.
    pub(super) fn spend(&mut self, exponent: &Secret) {
        for lot in &mut self.0 {
            lot.ready.retain(|pair| pair.exponent != *exponent);
        }
    }
}
