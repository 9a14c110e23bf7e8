//! The panels and dialogs as a user works with them: what is clicked, typed and pressed becomes commands, and what
//! they show is what the state holds. No window and no adapter is needed.

mod bench;
mod dialogs;
mod keyboard;
mod left;
mod review;
mod window;
