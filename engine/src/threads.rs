//! How many threads compute.

use crate::{Error, Result};

/// The processor's cores, as many as this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// All cores but one, at least one: what a window takes, so that it can draw while a job computes.
pub fn beside_a_window() -> usize {
    (cores() - 1).max(1)
}

/// Has everything in this process compute on `threads` threads; 0 takes all cores. To be called once, before anything
/// computes; later it is an error.
pub fn install(threads: usize) -> Result<()> {
    if threads == 0 {
        return Ok(());
    }
    let built = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    built.map_err(|error| Error::config("threads", threads, error.to_string()))
}

/// Does `work`, and whatever it computes, on `threads` threads of its own; 0 takes as many as there are cores. The other
/// threads of the process keep their own.
pub fn with<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> Result<R> {
    let threads = if threads == 0 { cores() } else { threads };
    let named = |n| format!("compute {n}");
    // A job runs on one of them as a whole: it has the stack of a main thread.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(named).stack_size(8 << 20).build();
    Ok(pool.map_err(|error| Error::config("threads", threads, error.to_string()))?.install(work))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn work_sees_the_threads_it_was_given() {
        for threads in [1, 3] {
            assert_eq!(with(threads, rayon::current_num_threads).unwrap(), threads);
        }
        assert_eq!(with(0, rayon::current_num_threads).unwrap(), cores());
        assert!((1..=cores()).contains(&beside_a_window()));
    }
}
