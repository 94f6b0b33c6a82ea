//! How deep the stack ever went: what lies below it is painted at the start.

use cortex_m::register::msp;
use cortex_m_rt::heap_start;

const PAINT: u32 = 0x5ec1_5405;
/// Words below the stack pointer that `paint` itself may still need.
const MARGIN: usize = 64;

unsafe extern "C" {
    static _stack_start: u32;
}

/// Paints everything between the static variables and the stack.
pub fn paint() {
    let mut place = heap_start();
    let end = (msp::read() as usize / 4 - MARGIN) * 4;
    while (place as usize) < end {
        // SAFETY: the linker leaves the words from `heap_start` up to the stack to nobody, and
        // `end` is below what the stack holds now.
        unsafe {
            place.write_volatile(PAINT);
            place = place.add(1);
        }
    }
}

/// The most bytes of stack that were in use at one time.
pub fn peak() -> usize {
    let mut place = heap_start().cast_const();
    let top = &raw const _stack_start as usize;
    // SAFETY: every word from `heap_start` to `_stack_start` is RAM, and written before: painted,
    // or used as stack.
    while (place as usize) < top && unsafe { place.read_volatile() } == PAINT {
        place = place.wrapping_add(1);
    }
    top - place as usize
}
