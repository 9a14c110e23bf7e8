//! What the system tells of the machine: its processor, its memory, and how much of it this process took.
//!
//! Linux tells through `/proc` and `/sys`; where a system does not tell, the answer is nothing, never a guess.

use std::fs;

/// Bytes of a mebibyte.
const MIB: u64 = 1 << 20;

/// MiB of memory that this process may use: the machine's, or its control group's where that is less.
pub fn memory_mib() -> Option<u64> {
    let physical = field_mib("/proc/meminfo", "MemTotal:")?;
    let limit = |path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let group =
        ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"].into_iter().find_map(limit);
    Some(group.map_or(physical, |bytes| physical.min(bytes / MIB)))
}

/// MiB of the largest resident set of this process since its start, or since [`forget_peak`].
pub fn peak_mib() -> Option<u64> {
    field_mib("/proc/self/status", "VmHWM:")
}

/// Has [`peak_mib`] count anew; tells whether the system could.
pub fn forget_peak() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// The processor's name as it calls itself.
pub fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The number of KiB behind `name` in a file of such lines, in MiB.
fn field_mib(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? / 1024)
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_process_takes_less_than_the_machine_has() {
        let block = vec![1_u8; 32 << 20];
        let (peak, all) = (peak_mib().unwrap(), memory_mib().unwrap());
        assert!(block.contains(&1) && peak >= 32 && all > 64, "{peak} of {all}");
    }
}
