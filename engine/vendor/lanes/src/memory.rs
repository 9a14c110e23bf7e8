//! Freed memory is kept for the next layer.
//!
//! A layer's output is a few mebibytes that the next layer frees. glibc returns such blocks to the system, and the next one
//! costs a page fault every 4 KiB, which together were a fifth of an inference.

/// Lets the allocator keep up to 256 MiB of freed memory, if it is glibc's. False if that is impossible.
pub fn keep_freed_memory() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::ffi::c_int;
        // From malloc.h.
        const TRIM_THRESHOLD: c_int = -1;
        const TOP_PAD: c_int = -2;
        const MMAP_THRESHOLD: c_int = -3;
        unsafe extern "C" {
            fn mallopt(parameter: c_int, value: c_int) -> c_int;
        }
        // Blocks above the largest threshold that glibc takes come from the system and return there. The pad keeps an empty
        // heap of a thread.
        let settings = [(MMAP_THRESHOLD, 32 << 20), (TRIM_THRESHOLD, 256 << 20), (TOP_PAD, 64 << 20)];
        // SAFETY: mallopt takes its allocator's lock, and other threads only compare with the numbers that it writes.
        settings.into_iter().all(|(parameter, value)| unsafe { mallopt(parameter, value) } == 1)
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::keep_freed_memory;

    /// Page faults of this thread that read nothing from a disk. Other tests run beside it: one that panics reads the
    /// program's symbols.
    fn faults() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let fields = stat.rsplit_once(')').unwrap().1;
        fields.split_whitespace().nth(7).unwrap().parse().unwrap()
    }

    #[test]
    fn memory_that_was_freed_is_used_again() {
        // The address sanitizer has an allocator of its own.
        if !keep_freed_memory() {
            return;
        }
        let layers = || (0..8).map(|_| vec![1u8; 8 << 20]).collect::<Vec<_>>();
        drop(std::hint::black_box(layers()));
        let before = faults();
        drop(std::hint::black_box(layers()));
        let new = faults() - before;
        assert!(new < 4096, "{new} page faults for 16384 pages that were there");
    }
}
