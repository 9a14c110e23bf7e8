//! Panels and dialogs under user input: clicks and keys become commands, and the display follows the state. Needs neither
//! window nor adapter.

mod bench;
mod dialogs;
mod keyboard;
mod left;
mod review;
mod window;
