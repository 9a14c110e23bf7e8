//! A virtual display.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// A running display server, which ends when dropped.
pub struct Xvfb {
    server: Child,
    name: String,
}

impl Xvfb {
    /// Starts one on a free number, or reports why the test is skipped.
    pub fn start() -> Option<Self> {
        let arguments = ["-displayfd", "1", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"];
        let started = Command::new("Xvfb").args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut server = match started {
            Ok(server) => server,
            Err(why) => {
                let required = std::env::var_os("AMLP_REQUIRE_GPU").is_some_and(|v| v == "1");
                assert!(!required, "AMLP_REQUIRE_GPU=1, but Xvfb cannot be started: {why}");
                println!("skipped: no Xvfb ({why})");
                return None;
            }
        };
        // It names its number once it listens.
        let mut number = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
        assert!(!number.trim().is_empty(), "Xvfb ended without naming a display");
        Some(Self { server, name: format!(":{}", number.trim()) })
    }

    /// Such as `:99`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Xvfb {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
