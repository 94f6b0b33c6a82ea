//! Packets in storage that the caller owns, with room to grow at both ends.

/// The buffer has not enough room at that end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the buffer has {available} bytes of room where {wanted} are needed")]
pub struct NoRoom {
    /// Bytes asked for.
    pub wanted: usize,
    /// Bytes there are.
    pub available: usize,
}

/// One packet in storage of its own.
///
/// ```text
///  storage()  |<-- headroom -->|<-- packet() -->|<-- tailroom -->|
/// ```
/// Invariant: `headroom() + packet().len() + tailroom() == storage().len()`.
pub trait PacketBuf: Send {
    /// The packet.
    fn packet(&self) -> &[u8];
    /// The packet, to write.
    fn packet_mut(&mut self) -> &mut [u8];
    /// Free bytes in front of the packet; also the packet's offset in the storage.
    fn headroom(&self) -> usize;
    /// Free bytes behind the packet.
    fn tailroom(&self) -> usize;
    /// Moves the packet's start forward by `n` bytes; their content is unspecified.
    ///
    /// # Errors
    /// [`NoRoom`] when the headroom is shorter; nothing changes.
    fn grow_front(&mut self, n: usize) -> Result<(), NoRoom>;
    /// Moves the packet's end back by `n` bytes; their content is unspecified.
    ///
    /// # Errors
    /// [`NoRoom`] when the tailroom is shorter; nothing changes.
    fn grow_back(&mut self, n: usize) -> Result<(), NoRoom>;
    /// Cuts up to `n` bytes off the packet's start; they become headroom.
    fn shrink_front(&mut self, n: usize);
    /// Cuts up to `n` bytes off the packet's end; they become tailroom.
    fn shrink_back(&mut self, n: usize);
    /// The whole storage.
    fn storage(&self) -> &[u8];
    /// The whole storage, to write.
    fn storage_mut(&mut self) -> &mut [u8];
}

/// Where buffers come from and go back to.
pub trait Buffers<B> {
    /// An empty buffer able to hold a packet of `len` bytes, with the usual room at both ends.
    fn take(&mut self, len: usize) -> Option<B>;
    /// A buffer that is no longer needed.
    fn give(&mut self, buffer: B);
}

/// A packet in any storage of fixed length: the storage is the whole, the packet a window in it.
#[derive(Clone, Debug)]
pub struct Headroom<S> {
    storage: S,
    start: usize,
    end: usize,
}

/// A packet in a fixed array of `N` bytes; the default for firmware.
pub type ArrayBuf<const N: usize> = Headroom<[u8; N]>;

impl<const N: usize> ArrayBuf<N> {
    /// An empty packet that starts at `headroom` (at most `N`).
    #[must_use]
    pub const fn with_headroom(headroom: usize) -> Self {
        let start = if headroom < N { headroom } else { N };
        Self {
            storage: [0; N],
            start,
            end: start,
        }
    }
}

#[cfg(feature = "bytes")]
impl Headroom<bytes::BytesMut> {
    /// An empty packet with `headroom` bytes in front of it and `room` bytes behind its start.
    #[must_use]
    pub fn with_room(headroom: usize, room: usize) -> Self {
        Self {
            storage: bytes::BytesMut::zeroed(headroom.saturating_add(room)),
            start: headroom,
            end: headroom,
        }
    }
}

impl<S: AsRef<[u8]> + AsMut<[u8]> + Send> Headroom<S> {
    /// An empty packet in storage of the caller's, such as a `&'static mut [u8]` that a network
    /// card writes to; it starts at `headroom` (at most the storage's length).
    ///
    /// ```
    /// use hw_offload::{Headroom, PacketBuf};
    ///
    /// let mut storage = [0; 64];
    /// let mut buffer = Headroom::new(&mut storage[..], 16);
    /// buffer.fill(16, &[0x45; 20]).unwrap();
    /// assert_eq!((buffer.headroom(), buffer.packet().len(), buffer.tailroom()), (16, 20, 28));
    /// assert_eq!(Headroom::new([0; 8], 9).headroom(), 8);
    /// ```
    #[must_use]
    pub fn new(storage: S, headroom: usize) -> Self {
        let start = headroom.min(storage.as_ref().len());
        Self {
            storage,
            start,
            end: start,
        }
    }

    /// Empties the packet and puts its start at `headroom`, so that the storage can be used again.
    pub fn reset(&mut self, headroom: usize) {
        self.start = headroom.min(self.storage.as_ref().len());
        self.end = self.start;
    }

    /// Replaces the packet by a copy of `bytes`, starting at `headroom`.
    ///
    /// # Errors
    /// [`NoRoom`] when it does not fit; the packet is then empty.
    pub fn fill(&mut self, headroom: usize, bytes: &[u8]) -> Result<(), NoRoom> {
        self.reset(headroom);
        self.grow_back(bytes.len())?;
        self.packet_mut().copy_from_slice(bytes);
        Ok(())
    }
}

impl<S: AsRef<[u8]> + AsMut<[u8]> + Send> PacketBuf for Headroom<S> {
    fn packet(&self) -> &[u8] {
        self.storage
            .as_ref()
            .get(self.start..self.end)
            .unwrap_or(&[])
    }

    fn packet_mut(&mut self) -> &mut [u8] {
        self.storage
            .as_mut()
            .get_mut(self.start..self.end)
            .unwrap_or(&mut [])
    }

    fn headroom(&self) -> usize {
        self.start
    }

    fn tailroom(&self) -> usize {
        self.storage.as_ref().len().saturating_sub(self.end)
    }

    fn grow_front(&mut self, n: usize) -> Result<(), NoRoom> {
        self.start = self.start.checked_sub(n).ok_or(NoRoom {
            wanted: n,
            available: self.start,
        })?;
        Ok(())
    }

    fn grow_back(&mut self, n: usize) -> Result<(), NoRoom> {
        let available = self.storage.as_ref().len().saturating_sub(self.end);
        if n > available {
            return Err(NoRoom {
                wanted: n,
                available,
            });
        }
        self.end += n;
        Ok(())
    }

    fn shrink_front(&mut self, n: usize) {
        self.start += n.min(self.end - self.start);
    }

    fn shrink_back(&mut self, n: usize) {
        self.end -= n.min(self.end - self.start);
    }

    fn storage(&self) -> &[u8] {
        self.storage.as_ref()
    }

    fn storage_mut(&mut self) -> &mut [u8] {
        self.storage.as_mut()
    }
}
