//! Preprocessing (paper, sections 4.1 and 4.3): reorientation to RAS+, resampling, clipping, z-score and the training
//! crop. A [`CasePlan`] records the steps of each case and maps results back to the source grid.
//!
//! Prepared fields are *slice-major*: index `(k * nx + i) * ny + j`, i along R, j along A, k along S, so that an
//! axial slice is a contiguous `[nx][ny]` array.
//!
//! No step needs another case: a prepared case depends only on its files, the configuration and the seed, so cases
//! can be prepared in parallel, cached and streamed.

mod body;
mod case;
mod config;
mod ct;
mod gather;
mod intensity;
mod label_map;
mod plan;
mod prepare;
mod store;
mod targets;

pub use body::body_mask;
pub use case::{prepare_case, read_case};
pub use config::{BackgroundFill, Kind, KindChoice, PreprocessConfig, Spacing};
pub use ct::{CtOffset, CtReader, check_ct};
pub use label_map::{LabelMap, MapSource, TumourPart};
pub use plan::{CasePlan, ChannelPlan, geometry};
pub use prepare::{PreparedCase, prepare};
pub use store::{CaseMeta, DigestMatch, LabelUse, SliceData, SliceFilter, SliceMeta, SliceStore, StoreOptions};
pub use targets::Targets;
