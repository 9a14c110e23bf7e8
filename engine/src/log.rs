//! The program's log on standard error.

use std::fmt;
use std::io::IsTerminal;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

/// Writes the log to standard error, without times. The environment variable `variable` sets the filter, such as `info` or
/// `warn,wgpu_core=debug`; if it is unset, `default` applies. Does nothing if the program has already installed a log.
pub fn log_to_stderr(variable: &str, default: &str) {
    let chosen = std::env::var(variable).ok();
    let (filter, refused) = filter(chosen.as_deref(), default);
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(is_coloured()).event_format(LogFormat);
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
    if let Some(why) = refused {
        tracing::warn!("{variable} is ignored: {why}");
    }
}

/// Warnings and errors as a command prints them, `warning: ...`. Other levels also name the module.
struct LogFormat;

impl<S, N> FormatEvent<S, N> for LogFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        match *event.metadata().level() {
            Level::ERROR => write!(out, "error: ")?,
            Level::WARN => write!(out, "warning: ")?,
            level => write!(out, "{level} {}: ", event.metadata().target())?,
        }
        context.field_format().format_fields(out.by_ref(), event)?;
        writeln!(out)
    }
}

/// A log in a file has no colours, nor has one whose user asks for none (no-color.org).
fn is_coloured() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The filter, and the reason if the chosen one cannot be parsed.
fn filter(chosen: Option<&str>, default: &str) -> (Targets, Option<String>) {
    let default = || default.parse().unwrap_or_else(|_| Targets::new().with_default(tracing::Level::WARN));
    match chosen.map(str::parse) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(why)) => (default(), Some(why.to_string())),
        None => (default(), None),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Warnings of the preprocessing began with the name of its module, others with `warning:`.
    #[test]
    fn a_logged_warning_reads_like_one_of_a_command() {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone()).with_ansi(false);
        let log = tracing_subscriber::registry().with(layer.event_format(LogFormat));
        tracing::subscriber::with_default(log, || {
            tracing::warn!("the crop is small");
            tracing::info!("reading");
        });
        let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text, "warning: the crop is small\nINFO engine::log::tests: reading\n");
    }

    #[test]
    fn an_unreadable_filter_falls_back_to_the_default_with_a_reason() {
        let (fallback, refused) = filter(None, "warn,wgpu_hal=off");
        assert!(fallback.would_enable("engine", &Level::WARN) && !fallback.would_enable("engine", &Level::INFO));
        assert!(!fallback.would_enable("wgpu_hal", &Level::ERROR) && refused.is_none());
        let (chosen, refused) = filter(Some("info,engine=debug"), "warn");
        assert!(chosen.would_enable("engine::trainer", &Level::DEBUG) && refused.is_none());
        assert!(chosen.would_enable("app", &Level::INFO) && !chosen.would_enable("app", &Level::DEBUG));
        let (fallback, refused) = filter(Some("engine=loud"), "warn");
        assert!(!fallback.would_enable("engine", &Level::INFO) && refused.is_some());
    }
}
