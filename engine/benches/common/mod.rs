//! Shared by the benchmarks: timing, table output, and running a Python peer.
#![allow(clippy::print_stdout, reason = "the benchmarks print tables")]
#![allow(dead_code, reason = "each benchmark uses a part of this module")]

pub mod scan;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Environment variable with the peers' Python interpreter; see `torch_peer/setup.sh`.
pub const PEER_PYTHON: &str = "AMLP_PEER_PYTHON";

/// Minimum and median of repeated runs, in seconds.
#[derive(Clone, Copy)]
pub struct Seconds {
    pub min: f64,
    pub median: f64,
}

impl Seconds {
    pub fn of(mut runs: Vec<f64>) -> Self {
        runs.sort_by(f64::total_cmp);
        Self {
            min: runs.first().copied().unwrap_or(f64::NAN),
            median: runs.get(runs.len() / 2).copied().unwrap_or(f64::NAN),
        }
    }

    /// Parses a peer's `{"min": .., "median": ..}`.
    pub fn from_json(value: &serde_json::Value) -> Option<Self> {
        Some(Self { min: value.get("min")?.as_f64()?, median: value.get("median")?.as_f64()? })
    }
}

/// Runs `work` `warm_up + runs` times and times the last `runs`, without dropping the result.
pub fn time<T>(warm_up: usize, runs: usize, mut work: impl FnMut() -> T) -> Seconds {
    let mut seconds = Vec::with_capacity(runs);
    for run in 0..warm_up + runs {
        let start = Instant::now();
        let result = std::hint::black_box(work());
        let elapsed = start.elapsed().as_secs_f64();
        drop(result);
        if run >= warm_up {
            seconds.push(elapsed);
        }
    }
    Seconds::of(seconds)
}

/// Number of threads for both sides.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Peak resident set size of this process in MiB; NaN if the system does not report it.
pub fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kib.map_or(f64::NAN, |k| k / 1024.0)
}

/// Runs a script of `torch_peer` and parses the JSON it prints. The error is the reason why there is no result.
pub fn peer(script: &str, arguments: &[String]) -> Result<serde_json::Value, String> {
    peer_with(script, arguments, &[])
}

/// [`peer`] with environment variables.
pub fn peer_with(script: &str, arguments: &[String], variables: &[(&str, &str)]) -> Result<serde_json::Value, String> {
    let python = std::env::var_os(PEER_PYTHON).ok_or_else(|| format!("{PEER_PYTHON} is not set"))?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/torch_peer").join(script);
    let output = Command::new(&python).arg(&script).args(arguments).envs(variables.iter().copied()).output();
    let output = output.map_err(|error| format!("{}: {error}", Path::new(&python).display()))?;
    if !output.status.success() {
        let last = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: {}", script.display(), last.trim_end().lines().last().unwrap_or("failed")));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("{}: {error}", script.display()))
}

/// Prints a table with aligned columns.
pub fn print_table(header: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(header.get(column).map(|h| h.chars().count())).max().unwrap_or(0)
    };
    let line = |cells: &[String]| {
        let cells = cells.iter().enumerate().map(|(i, cell)| format!("{cell:<w$}", w = width(i)));
        println!("| {} |", cells.collect::<Vec<_>>().join(" | "));
    };
    line(&header.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>());
    line(&(0..header.len()).map(|i| "-".repeat(width(i))).collect::<Vec<_>>());
    for row in rows {
        line(row);
    }
}

/// Formats seconds as milliseconds.
pub fn ms(seconds: f64) -> String {
    format!("{:.1}", 1e3 * seconds)
}

/// Formats a ratio.
pub fn ratio(ours: f64, theirs: f64) -> String {
    format!("{:.2}", ours / theirs)
}
