//! Which patches are masked, how many, and how their categories change during training (sections 3.1 to 3.4).
//!
//! | file | idea |
//! |---|---|
//! | `ratio.rs` | how many: the adaptive masking ratio (Eq. 9) |
//! | `order.rs` | in which order |
//! | `select.rs` | the masked set, and what it hits |
//! | `attention.rs` | relative losses (Eq. 6) and the literal consistency loss (Eq. 7), as numbers |
//! | `relabel.rs` | the update of the categories (section 3.3) |
//! | `uncertainty.rs` | the entropies H1, H2, H3 (Eqs. 1 to 5) |
//!
//! All of it is plain functions of slices of numbers: no tensors, no state but [`relabel::Relevance`].

pub mod attention;
pub mod order;
pub mod ratio;
pub mod relabel;
pub mod select;
pub mod uncertainty;

pub use order::Order;
pub use ratio::{MaskRatio, RatioMode};
pub use relabel::{Anchor, RelabelConfig, RelabelOutcome, Relevance};
pub use select::{masked_count, masked_patches};
