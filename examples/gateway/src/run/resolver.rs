//! Names of hosts, looked up by the system's resolver, which may take its time: each look-up has
//! a thread of its own, and a byte in a socket wakes the gateway when it is done.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use hw_offload::Ticket;

/// The look-ups under way.
pub(crate) struct Resolver {
    /// Readable when a look-up is done.
    pub(crate) wake: UnixStream,
    waker: UnixStream,
    found: Receiver<(Ticket, Vec<IpAddr>)>,
    tell: Sender<(Ticket, Vec<IpAddr>)>,
}

impl Resolver {
    pub(crate) fn new() -> io::Result<Self> {
        let (wake, waker) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let (tell, found) = channel();
        Ok(Self {
            wake,
            waker,
            found,
            tell,
        })
    }

    /// Begins a look-up.
    pub(crate) fn ask(&self, ticket: Ticket, name: String) -> io::Result<()> {
        let (tell, mut waker) = (self.tell.clone(), self.waker.try_clone()?);
        let work = move || {
            let addresses = (name.as_str(), 0).to_socket_addrs();
            let addresses = addresses.map(|all| all.map(|address| address.ip()).collect());
            // A name without an address is an answer too; nobody listens once the gateway ends.
            let told = tell.send((ticket, addresses.unwrap_or_default()));
            if told.is_ok() {
                let _ = waker.write_all(&[0]);
            }
        };
        thread::Builder::new().spawn(work).map(drop)
    }

    /// What was found since the last call.
    pub(crate) fn answers(&self) -> Vec<(Ticket, Vec<IpAddr>)> {
        let mut wake = &self.wake;
        while wake.read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
        self.found.try_iter().collect()
    }
}
