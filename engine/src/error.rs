//! One error type for the whole engine. Its [`ErrorKind`] names the file, the field or step, and the value.

use std::path::{Path, PathBuf};

/// The engine's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. Boxed, so that a `Result` stays small; look at [`Error::kind`] to tell cases apart.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<ErrorKind>);

/// The cases of [`Error`]. Each displays as one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused to read, write or list something.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// What was being done: "read", "write", "list".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's own reason.
        source: std::io::Error,
    },
    /// A field of a file holds a value that cannot be used.
    #[error("{}: {field} is {value}: {why}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field as its format names it (`dim[0]`, `vox_offset`).
        field: String,
        /// The value found.
        value: String,
        /// Why it cannot be used.
        why: String,
    },
    /// A file is damaged or is not what its name says.
    #[error("{}: {why}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A format, type or option that exists but is not supported.
    #[error("{}: unsupported {what}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it holds.
        what: String,
    },
    /// Two grids that must be the same are not.
    #[error("{what}: the grids differ: {left} against {right}")]
    Geometry {
        /// What was being matched.
        what: String,
        /// The first grid, in words.
        left: String,
        /// The second grid, in words.
        right: String,
    },
    /// A setting cannot be used.
    #[error("{field} = {value}: {why}")]
    Config {
        /// The setting's name as in `config.toml` or on the command line.
        field: String,
        /// The value given.
        value: String,
        /// Why it cannot be used.
        why: String,
    },
    /// Something would need more memory than it may take.
    #[error("{what} needs {needed_mib} MiB, more than the {allowed_mib} MiB it may take")]
    Memory {
        /// What was to be loaded.
        what: String,
        /// MiB needed.
        needed_mib: u64,
        /// MiB allowed.
        allowed_mib: u64,
    },
    /// The stored and the computed checksum differ.
    #[error("{}: checksum is {found}, recorded as {recorded}: the file is damaged", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// SHA-256 of what is there.
        found: String,
        /// SHA-256 that was recorded.
        recorded: String,
    },
    /// A file of another format version.
    #[error("{}: format version {found}, this program reads {supported}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: String,
        /// The version supported.
        supported: String,
    },
    /// Another process works in the run folder.
    #[error("{}: locked by process {pid}", path.display())]
    Locked {
        /// The run folder.
        path: PathBuf,
        /// The process that holds it.
        pid: u32,
    },
    /// A device that was asked for is not there.
    #[error("device {requested}: {why}; found: {found}")]
    Device {
        /// What was asked for.
        requested: String,
        /// Why it cannot be had.
        why: String,
        /// What is there.
        found: String,
    },
    /// A device has no memory for what a step needs.
    #[error(
        "{device}: its memory does not suffice for {what} ({why}): training stopped, the checkpoint of the last \
         epoch is kept; --resume goes on with a smaller training.micro_batch, a smaller network or another device"
    )]
    DeviceMemory {
        /// The device.
        device: String,
        /// What was to be computed.
        what: String,
        /// The library's reason.
        why: String,
    },
    /// A device is gone.
    #[error(
        "{device}: the device was lost ({why}): training stopped, the checkpoint of the last epoch is kept; --resume goes on from it"
    )]
    DeviceLost {
        /// The device.
        device: String,
        /// The library's reason.
        why: String,
    },
    /// A loss stopped being a finite number.
    #[error(
        "{what} is {value} at epoch {epoch}, step {step} (slices {slices}): training stopped, the last finite weights are kept"
    )]
    NonFinite {
        /// Which loss.
        what: String,
        /// Its value.
        value: f64,
        /// Epoch, from 1.
        epoch: usize,
        /// Step within the epoch, from 1.
        step: usize,
        /// The batch, in words.
        slices: String,
    },
    /// The user asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// The tensor library reported a failure.
    #[error("{step}: {why}")]
    Compute {
        /// What was being computed.
        step: String,
        /// The library's reason.
        why: String,
    },
}

impl Error {
    /// The case, to match on.
    pub fn kind(&self) -> &ErrorKind {
        &self.0
    }

    /// For `map_err`: wraps a system error with what was being done to which path.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        move |source| ErrorKind::Io { action, path: path.to_path_buf(), source }.into()
    }

    /// A damaged or unusable file.
    pub fn file(path: &Path, why: impl Into<String>) -> Error {
        ErrorKind::File { path: path.to_path_buf(), why: why.into() }.into()
    }

    /// A field of a file with an unusable value.
    #[allow(clippy::needless_pass_by_value, reason = "callers pass numbers and texts alike")]
    pub fn field(
        path: &Path,
        field: impl Into<String>,
        value: impl std::fmt::Display,
        why: impl Into<String>,
    ) -> Error {
        let (field, value, why) = (field.into(), value.to_string(), why.into());
        ErrorKind::Field { path: path.to_path_buf(), field, value, why }.into()
    }

    /// A setting with an unusable value.
    #[allow(clippy::needless_pass_by_value, reason = "callers pass numbers and texts alike")]
    pub fn config(field: impl Into<String>, value: impl std::fmt::Display, why: impl Into<String>) -> Error {
        ErrorKind::Config { field: field.into(), value: value.to_string(), why: why.into() }.into()
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self(Box::new(kind))
    }
}
