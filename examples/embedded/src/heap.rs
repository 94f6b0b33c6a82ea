//! The heap, and how much of it was ever in use.

use core::alloc::{GlobalAlloc, Layout};
use core::mem::MaybeUninit;
use core::ptr::addr_of_mut;
use core::sync::atomic::{AtomicUsize, Ordering};

use embedded_alloc::LlffHeap;

const SIZE: usize = 256 * 1024;

static mut MEMORY: [MaybeUninit<u8>; SIZE] = [MaybeUninit::uninit(); SIZE];

struct Watched {
    heap: LlffHeap,
    peak: AtomicUsize,
}

#[global_allocator]
static HEAP: Watched = Watched {
    heap: LlffHeap::empty(),
    peak: AtomicUsize::new(0),
};

// SAFETY: both calls go to the heap as they came; counting touches no memory of it.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`.
        let place = unsafe { self.heap.alloc(layout) };
        self.peak.fetch_max(self.heap.used(), Ordering::Relaxed);
        place
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { self.heap.dealloc(place, layout) };
    }
}

/// Gives the heap its memory. To be called once, before anything is allocated.
pub fn begin() {
    // SAFETY: the memory is the heap's alone, nothing else names it, and `init` itself panics when
    // it is called again.
    unsafe { HEAP.heap.init(addr_of_mut!(MEMORY) as usize, SIZE) };
}

/// The most bytes that were in use at one time.
pub fn peak() -> usize {
    HEAP.peak.load(Ordering::Relaxed)
}
