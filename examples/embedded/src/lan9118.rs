//! A driver of the Ethernet controller LAN9118, as far as this router needs it: it is polled, and
//! moves whole frames through the controller's FIFOs word by word.

use smoltcp::wire::EthernetAddress;

/// Where the board has it.
const BASE: usize = 0x4020_0000;

/// The registers, by their offset.
#[derive(Clone, Copy)]
#[repr(usize)]
enum Register {
    RxData = 0x00,
    TxData = 0x20,
    RxStatus = 0x40,
    TxStatus = 0x48,
    ByteTest = 0x64,
    TxConfig = 0x70,
    HwConfig = 0x74,
    RxFifo = 0x7c,
    TxFifo = 0x80,
    MacCommand = 0xa4,
    MacData = 0xa8,
}

/// The registers of the MAC behind `MacCommand`.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Mac {
    Control = 1,
    AddressHigh = 2,
    AddressLow = 3,
}

const BYTE_TEST: u32 = 0x8765_4321;
const SOFT_RESET: u32 = 1;
const TX_ON: u32 = 1 << 1;
const MAC_BUSY: u32 = 1 << 31;
const MAC_RECEIVE: u32 = 1 << 2;
const MAC_TRANSMIT: u32 = 1 << 3;
const MAC_FULL_DUPLEX: u32 = 1 << 20;
const RX_ERROR: u32 = 1 << 15;
const TX_FIRST_AND_LAST: u32 = 1 << 13 | 1 << 12;
const CRC: usize = 4;

/// The longest frame, without its checksum.
pub const FRAME: usize = 1514;

/// The controller. There is one.
pub struct Lan9118(());

impl Lan9118 {
    /// Resets it and lets it receive what is sent to that address or to everybody.
    pub fn start(address: EthernetAddress) -> Self {
        let mut card = Self(());
        assert_eq!(
            card.read(Register::ByteTest),
            BYTE_TEST,
            "no LAN9118 answers"
        );
        card.write(Register::HwConfig, SOFT_RESET);
        while card.read(Register::HwConfig) & SOFT_RESET != 0 {}
        let [a, b, c, d, e, f] = address.0;
        card.write_mac(Mac::AddressLow, u32::from_le_bytes([a, b, c, d]));
        card.write_mac(Mac::AddressHigh, u32::from_le_bytes([e, f, 0, 0]));
        card.write_mac(Mac::Control, MAC_RECEIVE | MAC_TRANSMIT | MAC_FULL_DUPLEX);
        card.write(Register::TxConfig, TX_ON);
        card
    }

    /// Takes a frame without its checksum into `frame`; its length, or none if there is none.
    /// Frames that are damaged or too long are passed over.
    pub fn receive(&mut self, frame: &mut [u8; FRAME]) -> Option<usize> {
        while self.read(Register::RxFifo) >> 16 & 0xff != 0 {
            let status = self.read(Register::RxStatus);
            let with_crc = (status >> 16 & 0x3fff) as usize;
            let len = with_crc.saturating_sub(CRC);
            for word in 0..with_crc.div_ceil(4) {
                let bytes = self.read(Register::RxData).to_le_bytes();
                for (at, byte) in (4 * word..).zip(bytes) {
                    if let Some(place) = frame.get_mut(at) {
                        *place = byte;
                    }
                }
            }
            if status & RX_ERROR == 0 && len <= FRAME {
                return Some(len);
            }
        }
        None
    }

    /// Sends a frame of two parts, or drops it when there is no room for it: those who send again
    /// are above.
    pub fn send(&mut self, header: &[u8], payload: &[u8]) {
        let len = header.len() + payload.len();
        let room = (self.read(Register::TxFifo) & 0xffff) as usize;
        if len > FRAME || len.next_multiple_of(4) + 8 > room {
            return;
        }
        let len = len as u32;
        self.write(Register::TxData, TX_FIRST_AND_LAST | len);
        self.write(Register::TxData, len << 16 | len);
        let mut word = [0; 4];
        let mut filled = 0;
        for byte in header.iter().chain(payload) {
            word[filled] = *byte;
            filled += 1;
            if filled == word.len() {
                self.write(Register::TxData, u32::from_le_bytes(word));
                filled = 0;
            }
        }
        if filled > 0 {
            self.write(Register::TxData, u32::from_le_bytes(word));
        }
        // What became of earlier frames: nobody asks.
        while self.read(Register::TxFifo) >> 16 & 0xff != 0 {
            self.read(Register::TxStatus);
        }
    }

    fn write_mac(&mut self, register: Mac, value: u32) {
        self.write(Register::MacData, value);
        self.write(Register::MacCommand, MAC_BUSY | register as u32);
        while self.read(Register::MacCommand) & MAC_BUSY != 0 {}
    }

    fn read(&mut self, register: Register) -> u32 {
        // SAFETY: the register exists, is aligned, and belongs to this driver alone.
        unsafe { ((BASE + register as usize) as *const u32).read_volatile() }
    }

    fn write(&mut self, register: Register, value: u32) {
        // SAFETY: as above; what is written concerns the controller alone, which has no access to
        // memory.
        unsafe { ((BASE + register as usize) as *mut u32).write_volatile(value) }
    }
}
