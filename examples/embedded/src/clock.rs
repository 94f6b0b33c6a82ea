//! The system timer as the clock that every call of the device wants.

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use ipsec_core::Instant;

/// The processor's clock on this board.
const HERTZ: u32 = 25_000_000;

/// Milliseconds since the start, modulo 2^32.
static MILLIS: AtomicU32 = AtomicU32::new(0);

#[exception]
fn SysTick() {
    // Nobody else writes, so load and store do on a processor without compare-and-swap, too.
    MILLIS.store(
        MILLIS.load(Ordering::Relaxed).wrapping_add(1),
        Ordering::Relaxed,
    );
}

/// Time since the start. It must be read at least once in the 49 days in which the timer's counter
/// comes round.
pub struct Clock {
    last: u32,
    millis: u64,
}

impl Clock {
    /// Lets the timer tick every millisecond.
    pub fn start(mut timer: SYST) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(HERTZ / 1000 - 1);
        timer.clear_current();
        timer.enable_counter();
        timer.enable_interrupt();
        Self { last: 0, millis: 0 }
    }

    /// The time.
    pub fn now(&mut self) -> Instant {
        let read = MILLIS.load(Ordering::Relaxed);
        self.millis += u64::from(read.wrapping_sub(self.last));
        self.last = read;
        Instant::from_micros(self.millis * 1000)
    }
}
