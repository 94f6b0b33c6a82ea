//! Errands: work that waits for others and may take its time. Each has a thread of its own, and a
//! byte in a socket wakes the gateway when it is done.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use hw_offload::Ticket;

/// Errands of one kind that are under way.
pub(crate) struct Errands<T> {
    /// Readable when one is done.
    pub(crate) wake: UnixStream,
    waker: UnixStream,
    done: Receiver<(Ticket, T)>,
    tell: Sender<(Ticket, T)>,
    under_way: usize,
    most: usize,
}

impl<T: Send + 'static> Errands<T> {
    /// At most so many at once.
    pub(crate) fn new(most: usize) -> io::Result<Self> {
        let (wake, waker) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let (tell, done) = channel();
        Ok(Self {
            wake,
            waker,
            done,
            tell,
            under_way: 0,
            most,
        })
    }

    /// Begins one.
    pub(crate) fn begin(
        &mut self,
        ticket: Ticket,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<()> {
        if self.under_way == self.most {
            return Err(io::Error::other(format!("{} are under way", self.most)));
        }
        let (tell, mut waker) = (self.tell.clone(), self.waker.try_clone()?);
        let errand = move || {
            // Nobody listens once the gateway ends.
            if tell.send((ticket, work())).is_ok() {
                let _ = waker.write_all(&[0]);
            }
        };
        thread::Builder::new().spawn(errand)?;
        self.under_way += 1;
        Ok(())
    }

    /// What was done since the last call.
    pub(crate) fn results(&mut self) -> Vec<(Ticket, T)> {
        let mut wake = &self.wake;
        while wake.read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
        let done: Vec<_> = self.done.try_iter().collect();
        self.under_way -= done.len();
        done
    }
}
