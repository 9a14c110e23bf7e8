//! Host name, processor name, memory size and memory use of this process.
//!
//! Read from `/proc` and `/sys` on Linux. `None` on systems that do not report them.

use std::fs;

/// Bytes per MiB.
const MIB: u64 = 1 << 20;

/// Memory available to this process in MiB: the machine's, or the control group's limit if smaller.
pub fn memory_mib() -> Option<u64> {
    let physical = field_mib("/proc/meminfo", "MemTotal:")?;
    let limit = |path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let group =
        ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"].into_iter().find_map(limit);
    Some(group.map_or(physical, |bytes| physical.min(bytes / MIB)))
}

/// Peak resident set size of this process in MiB, since its start or [`reset_peak`].
pub fn peak_mib() -> Option<u64> {
    field_mib("/proc/self/status", "VmHWM:")
}

/// Resets [`peak_mib`]. False if the system does not support it.
pub fn reset_peak() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// Name of the processor.
pub fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The machine's name in its network.
pub fn host_name() -> String {
    let of_kernel = || fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let named = || ["COMPUTERNAME", "HOSTNAME", "HOST"].iter().find_map(|name| std::env::var(name).ok());
    let name = of_kernel().or_else(named).unwrap_or_default();
    if name.trim().is_empty() { "an unknown machine".to_owned() } else { name.trim().to_owned() }
}

/// The value after `name`, given in kB, in MiB.
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
