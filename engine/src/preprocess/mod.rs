//! From a scan as it lies in its file to what the network sees (method, section 1): reorientation to RAS+,
//! resampling, clipping, z-score and the crop frame; recorded per case in a [`CasePlan`] that leads back to the
//! source grid.
//!
//! Prepared fields are *slice-major*: index `(k * nx + i) * ny + j`, i along R, j along A, k along S, so that an
//! axial slice is a contiguous `[nx][ny]` array.
//!
//! Deliberately absent: any step that needs another case. A prepared case depends on its files, the configuration
//! and the seed alone, so that cases can be prepared in parallel, cached and streamed.

mod body;
mod case;
mod config;
mod gather;
mod intensity;
mod plan;
mod prepare;
mod store;

pub use body::body_mask;
pub use case::{prepare_case, read_case};
pub use config::{Background, Kind, KindChoice, PreprocessConfig, Spacing, Targets};
pub use plan::{CasePlan, ChannelPlan, prepared_shape};
pub use prepare::{Prepared, prepare};
pub use store::{CaseMeta, DigestMatch, Keep, SliceData, SliceMeta, SliceStore, StoreOptions};
