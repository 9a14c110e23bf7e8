//! The program's log on standard error.

use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// Writes the log to standard error, without times. `variable` of the environment says what is logged, such as `info` or
/// `warn,wgpu_core=debug`; without it, `default` does. Keeps a log already installed by the program.
pub fn log_to_stderr(variable: &str, default: &str) {
    let chosen = std::env::var(variable).ok();
    let (filter, refused) = filter(chosen.as_deref(), default);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).without_time();
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
    if let Some(why) = refused {
        tracing::warn!("{variable} is ignored: {why}");
    }
}

/// The filter, and why the chosen one cannot be used.
fn filter(chosen: Option<&str>, default: &str) -> (Targets, Option<String>) {
    let default = || default.parse().unwrap_or_else(|_| Targets::new().with_default(tracing::Level::WARN));
    match chosen.map(str::parse) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(why)) => (default(), Some(why.to_string())),
        None => (default(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn the_log_follows_the_environment_and_says_what_it_cannot_read() {
        let (usual, refused) = filter(None, "warn,wgpu_hal=off");
        assert!(usual.would_enable("engine", &Level::WARN) && !usual.would_enable("engine", &Level::INFO));
        assert!(!usual.would_enable("wgpu_hal", &Level::ERROR) && refused.is_none());
        let (chosen, refused) = filter(Some("info,engine=debug"), "warn");
        assert!(chosen.would_enable("engine::trainer", &Level::DEBUG) && refused.is_none());
        assert!(chosen.would_enable("app", &Level::INFO) && !chosen.would_enable("app", &Level::DEBUG));
        let (usual, refused) = filter(Some("engine=loud"), "warn");
        assert!(!usual.would_enable("engine", &Level::INFO) && refused.is_some());
    }
}
