//! The headless program `amlp`.

fn main() -> std::process::ExitCode {
    engine::cli::run()
}
