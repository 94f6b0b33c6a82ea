//! How counters are declared, kept and shown, whatever they count.
//!
//! [`counter_blocks!`](crate::counter_blocks) declares the events of a module once, in the blocks
//! and rows of its screen. A [`Tally`] keeps the counters of one place; a [`Scope`] says which
//! events that place counts. Screens and RESET walk over [`Block`]s.

use core::fmt::Debug;
use core::marker::PhantomData;

/// The counters of a screen that stand under one heading.
#[derive(Clone, Copy, Debug)]
pub struct Block<E: 'static> {
    /// The heading, as printed.
    pub title: &'static str,
    /// The category that SHOW and RESET select it by; empty where only the form without a category
    /// reaches it.
    pub category: &'static str,
    /// How its rows are printed.
    pub layout: Layout,
    /// Its rows: the counters of one line, each with its name.
    pub rows: &'static [Row<E>],
}

/// The counters of one line of a screen.
pub type Row<E> = &'static [(&'static str, E)];

/// How the rows of a block are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Every counter behind its name, up to two on a line.
    Names,
    /// A line per subject, with the columns Good and Failed; the names end in these words.
    GoodFailed,
    /// As [`Layout::Names`], under a heading that belongs to the block before.
    Part,
}

impl<E: Copy> Block<E> {
    /// Every counter, in the order of the screen.
    pub fn counters(&self) -> impl Iterator<Item = (&'static str, E)> {
        self.rows.iter().flat_map(|row| row.iter().copied())
    }

    /// Whether a list of categories selects the block; an empty list selects everything.
    #[must_use]
    pub fn is_in(&self, categories: &[&str]) -> bool {
        categories.is_empty() || categories.contains(&self.category)
    }
}

/// Which events one place counts.
pub trait Scope: Copy + Debug + Default + Eq {
    /// What happens.
    type Event: Copy + 'static;

    /// The counter of an event, from 0; none where it is not counted here.
    fn place(event: Self::Event) -> Option<usize>;
}

/// The counters of one place. They stay at their greatest value rather than wrap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally<S, const N: usize> {
    counts: [u64; N],
    scope: PhantomData<S>,
}

impl<S, const N: usize> Default for Tally<S, N> {
    fn default() -> Self {
        Self {
            counts: [0; N],
            scope: PhantomData,
        }
    }
}

impl<S: Scope, const N: usize> Tally<S, N> {
    /// Counts one.
    pub fn raise(&mut self, event: S::Event) {
        self.raise_by(event, 1);
    }

    /// Counts several.
    pub fn raise_by(&mut self, event: S::Event, n: u64) {
        if let Some(count) = S::place(event).and_then(|place| self.counts.get_mut(place)) {
            *count = count.saturating_add(n);
        }
    }

    /// Sets every counter to zero.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Sets the counters of a block to zero.
    pub fn reset_block(&mut self, block: &Block<S::Event>) {
        for (_, event) in block.counters() {
            if let Some(count) = S::place(event).and_then(|place| self.counts.get_mut(place)) {
                *count = 0;
            }
        }
    }

    /// A counter's value; zero where the event is not counted here.
    #[must_use]
    pub fn get(&self, event: S::Event) -> u64 {
        let place = S::place(event);
        place
            .and_then(|place| self.counts.get(place))
            .copied()
            .unwrap_or(0)
    }
}

/// Declares an enum of events by the blocks of their screen: title, category, layout and rows, with
/// documentation and printed name of every event. `also` adds events that the screen has no
/// counters for.
///
/// ```
/// ipsec_core::counter_blocks! {
///     /// What happens to letters.
///     pub enum Letter {
///         "Letter Counters", "POST", Names {
///             [
///             /// One was sent.
///             Sent = "lettersSent",
///             /// One was lost.
///             Lost = "lettersLost",
///             ]
///         }
///     }
/// }
/// assert_eq!(Letter::BLOCKS[0].rows[0][1], ("lettersLost", Letter::Lost));
/// ```
#[macro_export]
macro_rules! counter_blocks {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $(
                $title:literal, $category:literal, $layout:ident {
                    $([ $( $(#[$doc:meta])* $event:ident = $printed:literal, )+ ])+
                }
            )+
            $(also { $( $(#[$more_doc:meta])* $more:ident, )+ })?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $name {
            $($($( $(#[$doc])* $event, )+)+)+
            $($( $(#[$more_doc])* $more, )+)?
        }

        impl $name {
            /// Every event: those of the blocks in their order, then the others.
            pub const ALL: &'static [Self] = &[
                $($($( Self::$event, )+)+)+
                $($( Self::$more, )+)?
            ];

            /// The blocks of the screen.
            pub const BLOCKS: &'static [$crate::counters::Block<Self>] = &[
                $($crate::counters::Block {
                    title: $title,
                    category: $category,
                    layout: $crate::counters::Layout::$layout,
                    rows: &[ $( &[ $( ($printed, Self::$event), )+ ], )+ ],
                },)+
            ];

            /// How many events the blocks count. These come first in [`Self::ALL`], so that an
            /// event's number is the place of its counter.
            pub const COUNTED: usize = [ $($($( Self::$event, )+)+)+ ].len();
        }
    };
}
