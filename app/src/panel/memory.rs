//! Resident memory of this process; Linux only.

use egui::{Context, Id};

/// Seconds between two readings.
const INTERVAL: f64 = 1.0;

/// Resident memory in bytes, read at most once a second.
pub(super) fn resident_bytes(ctx: &Context) -> Option<u64> {
    let id = Id::unique("memory of the process");
    let now = ctx.input(|input| input.time);
    if let Some((at, bytes)) = ctx.data(|data| data.get_temp::<(f64, Option<u64>)>(id))
        && (0.0..INTERVAL).contains(&(now - at))
    {
        return bytes;
    }
    let bytes = resident();
    ctx.data_mut(|data| data.insert_temp(id, (now, bytes)));
    bytes
}

#[cfg(target_os = "linux")]
fn resident() -> Option<u64> {
    parse(&std::fs::read_to_string("/proc/self/status").ok()?)
}

#[cfg(not(target_os = "linux"))]
fn resident() -> Option<u64> {
    None
}

/// The resident set size in bytes. Unlike `statm`, `status` does not depend on the page size.
#[cfg(any(target_os = "linux", test))]
fn parse(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resident_set_is_read_in_bytes() {
        assert_eq!(parse("VmPeak:\t  900 kB\nVmRSS:\t  812344 kB\nThreads:\t3\n"), Some(812_344 * 1024));
        assert_eq!(parse("VmRSS:\t many kB\n"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_resident_memory_of_this_process_is_read() {
        assert!(resident_bytes(&Context::default()).is_some_and(|bytes| bytes > 1 << 20));
    }
}
