//! Helpers of tests that draw.

use amlp_viewer::gpu::offscreen::Offscreen;

/// An offscreen renderer, or `None` with a message without an adapter. With `AMLP_REQUIRE_GPU=1` a missing adapter is a
/// failure.
#[allow(clippy::print_stdout, reason = "says that the test had to be skipped")]
pub fn offscreen() -> Option<Offscreen> {
    match Offscreen::open() {
        Ok(screen) => Some(screen),
        Err(why) => {
            let required = std::env::var_os("AMLP_REQUIRE_GPU").is_some_and(|v| v == "1");
            assert!(!required, "AMLP_REQUIRE_GPU=1, but {why}");
            println!("skipped: no adapter ({why})");
            None
        }
    }
}
