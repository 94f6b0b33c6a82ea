//! SHOW LOG.

use alloc::string::String;
use core::fmt::Write;

use isakmp_core::device::State;

const RULE: &str =
    "-------------------------------------------------------------------------------";
/// Column of the message, and how far it may reach.
const MESSAGE: usize = 30;
const WIDTH: usize = 79;

/// The lines of a module and a type, where these are given.
pub(crate) fn log(state: &State, [module, kind]: [Option<&str>; 2]) -> String {
    let mut text = String::from("Date/Time   S Mod  Type SType Message\n");
    let _ = writeln!(text, "{RULE}");
    for record in state.log.lines() {
        let own = record.module.words();
        if module.is_some_and(|module| module != own.0) || kind.is_some_and(|kind| kind != own.1) {
            continue;
        }
        let (day, hour, minute, second) = state.wall.day_and_time(record.at);
        let (module, kind) = own;
        let _ = write!(
            text,
            "{day:02} {hour:02}:{minute:02}:{second:02} {} {module:4} {kind:4} {:5} ",
            record.severity,
            record.subtype.word()
        );
        let mut column = MESSAGE;
        for (place, word) in record.message.split(' ').enumerate() {
            let length = word.chars().count();
            if place > 0 && column + 1 + length > WIDTH {
                let _ = write!(text, "\n{:MESSAGE$}", "");
                column = MESSAGE;
            } else if place > 0 {
                text.push(' ');
                column += 1;
            }
            text.push_str(word);
            column += length;
        }
        text.push('\n');
    }
    let _ = writeln!(text, "{RULE}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use ipsec_core::{Instant, Limits, WallClock};
    use isakmp_core::device::{LogModule, LogSubtype};

    /// The last column that is used is the 79th; a word that does not fit is put below whole.
    #[test]
    fn a_message_is_wrapped_at_its_last_word_that_fits() {
        let mut state = State::new(&Limits::default(), WallClock::default());
        let fits = "x".repeat(WIDTH - MESSAGE - 4);
        for message in [alloc::format!("abc {fits}"), alloc::format!("abc {fits}y")] {
            let subtype = LogSubtype::Msg;
            state
                .log
                .write(Instant::ZERO, LogModule::Ipsec, subtype, message);
        }
        let text = log(&state, [None, None]);
        let lines: Vec<&str> = text.lines().collect();
        let [_, _, whole, first, second, _] = lines[..] else {
            panic!("{text}");
        };
        assert_eq!(whole.len(), WIDTH);
        assert!(whole.ends_with(&fits) && first.ends_with(" abc"), "{text}");
        assert_eq!(second.trim_start(), alloc::format!("{fits}y"));
        assert_eq!(second.len(), MESSAGE + fits.len() + 1);
    }
}
