//! Number of compute threads.

use crate::{Error, Result};

/// Number of cores available to this process.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// All cores except one, but at least one, so that a window can draw while a job computes.
pub fn all_but_one() -> usize {
    (cores() - 1).max(1)
}

/// Sets the number of threads of this process; 0 uses all cores.
///
/// # Errors
/// If the number was already set, or a computation has already started.
pub fn install(threads: usize) -> Result<()> {
    if threads == 0 {
        return Ok(());
    }
    let built = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    built.map_err(|error| Error::config("threads", threads, error.to_string()))
}

/// Runs `work` in its own pool of `threads` threads; 0 uses all cores.
pub fn with<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> Result<R> {
    let threads = if threads == 0 { cores() } else { threads };
    let named = |n| format!("compute {n}");
    // The job itself runs on a pool thread, so each has the stack size of a main thread.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(named).stack_size(8 << 20).build();
    Ok(pool.map_err(|error| Error::config("threads", threads, error.to_string()))?.install(work))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn work_runs_with_the_requested_number_of_threads() {
        for threads in [1, 3] {
            assert_eq!(with(threads, rayon::current_num_threads).unwrap(), threads);
        }
        assert_eq!(with(0, rayon::current_num_threads).unwrap(), cores());
        assert!((1..=cores()).contains(&all_but_one()));
    }
}
