//! `amlp devices`: lists the devices that can compute here.

use super::{print_json, print_line};
use crate::device::{DeviceKind, probe};

pub const EXAMPLES: &str =
    "Examples:\n  amlp devices\n  amlp devices --json\n  amlp pretrain COHORT --device cuda:1 ...";

#[derive(clap::Args)]
pub struct Args {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let found = probe();
    if args.json {
        return print_json(&found);
    }
    for device in &found.devices {
        let mark = if device.id == found.auto { "*" } else { " " };
        let kind = match device.kind {
            DeviceKind::Cpu => "CPU",
            DeviceKind::Gpu => "GPU",
            DeviceKind::Software => "software",
        };
        let memory = device.memory_mib.map_or_else(|| "memory unknown".into(), |mib| format!("{mib} MiB"));
        print_line(&format!("{mark} {:8} {:8}  {}, {memory}", device.id, kind, device.name))?;
    }
    print_line(&format!("  (* chosen by auto; backends in this build: {})", found.backends.join(", ")))
}
