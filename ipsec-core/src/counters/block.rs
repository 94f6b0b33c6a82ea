//! How counters are declared, held and listed: by blocks, as the screens print them.

use core::fmt;
use core::marker::PhantomData;

/// Counters under one title.
#[derive(Debug)]
pub struct Block<E: 'static> {
    /// The title as printed, with its colon where it has one.
    pub title: &'static str,
    /// The word by which SHOW and RESET name it and others; empty if only all counters together
    /// include it.
    pub category: &'static str,
    /// The lines below the title.
    pub lines: &'static [Line<E>],
}

/// A line of a [`Block`].
#[derive(Debug)]
pub struct Line<E: 'static> {
    /// What stands in front: the subject of a line whose cells are `Good` and `Failed`, or, with
    /// no cells, a heading. Empty in front of cells that name themselves.
    pub label: &'static str,
    /// The counters beside each other.
    pub cells: &'static [Cell<E>],
}

/// One counter as one screen names it.
#[derive(Clone, Copy, Debug)]
pub struct Cell<E> {
    /// The printed name.
    pub name: &'static str,
    /// What raises it.
    pub event: E,
}

impl<E: Copy> Block<E> {
    /// Every counter of the block, with the label of its line.
    pub fn cells(&self) -> impl Iterator<Item = (&'static str, Cell<E>)> {
        let line = |line: &Line<E>| (line.label, line.cells);
        let lines = self.lines.iter().map(line);
        lines.flat_map(|(label, cells)| cells.iter().map(move |cell| (label, *cell)))
    }
}

/// A place where events of one kind are counted.
pub trait Scope {
    /// What is counted.
    type Event: Copy + 'static;

    /// The number of an event's counter; none where it does not count.
    fn place(event: Self::Event) -> Option<usize>;
}

/// The counters of one [`Scope`], each from zero to `u64::MAX`, where it stays.
#[derive(Clone, PartialEq, Eq)]
pub struct Tally<S, const N: usize> {
    values: [u64; N],
    scope: PhantomData<fn() -> S>,
}

impl<S, const N: usize> fmt::Debug for Tally<S, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What was counted is no state: nothing depends on it.
        #[cfg(feature = "testing")]
        if hw_offload::testing::tells_states_apart(f) {
            return f.write_str("Tally");
        }
        f.debug_tuple("Tally").field(&self.values).finish()
    }
}

impl<S, const N: usize> Default for Tally<S, N> {
    fn default() -> Self {
        Self {
            values: [0; N],
            scope: PhantomData,
        }
    }
}

impl<S: Scope, const N: usize> Tally<S, N> {
    /// Counts one.
    pub fn raise(&mut self, event: S::Event) {
        self.raise_by(event, 1);
    }

    /// Counts several. What does not count here is left out.
    pub fn raise_by(&mut self, event: S::Event, n: u64) {
        if let Some(value) = S::place(event).and_then(|place| self.values.get_mut(place)) {
            *value = value.saturating_add(n);
        }
    }

    /// Sets every counter to zero.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Sets the counters of one block to zero.
    pub fn reset_block(&mut self, block: &Block<S::Event>) {
        for (_, cell) in block.cells() {
            if let Some(value) = S::place(cell.event).and_then(|place| self.values.get_mut(place)) {
                *value = 0;
            }
        }
    }

    /// A counter's value.
    #[must_use]
    pub fn get(&self, event: S::Event) -> u64 {
        let value = S::place(event).and_then(|place| self.values.get(place));
        value.copied().unwrap_or(0)
    }
}

/// Declares events that are counted, together with the blocks that print them.
///
/// The enum gets `ALL`, every event in order, and `BLOCKS`, and is a [`Scope`] of itself. A line
/// with a label in front is one of outcomes, or a heading if it is empty; events that only other
/// screens print come last.
///
/// ```
/// use ipsec_core::counters::Tally;
///
/// ipsec_core::counters! {
///     /// What becomes of letters.
///     pub enum Letter;
///     block "Letter Counters" of "POST" {
///         "deliver" { /** In the box. */ Delivered "Good", Lost "Failed" }
///         "STAMPS:" {}
///         { Stamped "stamped", Unstamped "unstamped" }
///     }
///     elsewhere { /** Read. */ Read }
/// }
/// let mut letters = Tally::<Letter, { Letter::ALL.len() }>::default();
/// letters.raise(Letter::Lost);
/// let (label, cell) = Letter::BLOCKS[0].cells().nth(1).unwrap();
/// assert_eq!((label, cell.name, letters.get(cell.event)), ("deliver", "Failed", 1));
/// ```
#[macro_export]
macro_rules! counters {
    (
        $(#[$about:meta])*
        $vis:vis enum $Event:ident;
        $(block $title:literal of $category:literal {
            $($($label:literal)? {
                $($(#[$doc:meta])* $Variant:ident $name:literal),* $(,)?
            })*
        })*
        $(elsewhere { $($(#[$other_doc:meta])* $Other:ident),* $(,)? })?
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $Event {
            $($($(
                $(#[$doc])*
                #[doc = ""]
                #[doc = concat!("Printed as `", $name, "`.")]
                $Variant,
            )*)*)*
            $($($(#[$other_doc])* $Other,)*)?
        }

        impl $Event {
            /// Every event, in the order of declaration.
            pub const ALL: &'static [Self] = &[
                $($($(Self::$Variant,)*)*)*
                $($(Self::$Other,)*)?
            ];

            /// The blocks that print them, in the order of the screen.
            pub const BLOCKS: &'static [$crate::counters::Block<Self>] = $crate::counter_blocks! {
                $(block $title of $category {
                    $($($label)? { $($Variant $name),* })*
                })*
            };
        }

        impl $crate::counters::Scope for $Event {
            type Event = Self;

            fn place(event: Self) -> Option<usize> {
                Some(event as usize)
            }
        }
    };
}

/// The blocks of a screen whose events are declared elsewhere, in the words of [`counters!`].
#[macro_export]
macro_rules! counter_blocks {
    ($(block $title:literal of $category:literal {
        $($($label:literal)? { $($Variant:ident $name:literal),* $(,)? })*
    })*) => {
        &[$($crate::counters::Block {
            title: $title,
            category: $category,
            lines: &[$($crate::counters::Line {
                label: concat!("" $(, $label)?),
                cells: &[$($crate::counters::Cell { name: $name, event: Self::$Variant }),*],
            }),*],
        }),*]
    };
}
