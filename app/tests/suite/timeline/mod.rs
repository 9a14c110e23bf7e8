//! Runs in the window, live and replayed: what is shown equals what the engine recorded.

mod live;
mod methods;
mod record;
mod replay;
mod snapshots;
