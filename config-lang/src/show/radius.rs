//! SHOW RADIUS. The chapter prints no such screen: this one is in the style of the others, and keeps
//! the secrets to itself.

use alloc::string::String;

use isakmp_core::device::State;

use super::Screen;

pub(crate) fn radius(state: &State) -> String {
    let mut screen = Screen::new(0);
    screen.line("Server                                   Port");
    screen.line("-".repeat(79));
    for server in &state.radius {
        screen.line(format_args!("{:<40} {}", server.address, server.port));
    }
    screen.text
}
