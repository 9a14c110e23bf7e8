//! Fuzz target for parser, codecs, stacking and segmentations. The bytes of libFuzzer are a DICOM file, or a zip archive of
//! several.
//!
//! Only parts of the engine are compiled, because its network takes an hour and 5 GB to compile with libFuzzer's
//! instrumentation.
#![no_main]
#![allow(dead_code, unused_imports, reason = "only the readers run")]

extern crate self as engine;

#[path = "../src/damaged.rs"]
mod damaged;
#[path = "../../engine/src/disk/mod.rs"]
mod disk;
#[path = "../../engine/src/error.rs"]
mod error;
#[path = "../../engine/src/parallel.rs"]
mod parallel;
#[path = "../src/random.rs"]
mod random;
#[path = "../src/samples.rs"]
mod samples;
#[path = "../../engine/src/volume/mod.rs"]
mod volume;
#[path = "../../engine/src/words.rs"]
mod words;

use libfuzzer_sys::fuzz_target;

pub use error::{Error, ErrorKind, Result};

fuzz_target!(
    init: {
        // A decoder that panics on a damaged frame is caught, and is not a failure.
        std::panic::set_hook(Box::new(|_| {}));
    },
    |bytes: &[u8]| {
        if let Err(why) = damaged::check_bytes(bytes) {
            eprintln!("{why}");
            std::process::abort();
        }
    }
);
