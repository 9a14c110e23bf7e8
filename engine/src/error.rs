//! The engine's error type. Each [`ErrorKind`] names the file, field or step, the value, and what is wrong.

use std::path::{Path, PathBuf};

/// Result with the engine's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The engine's error. Boxed to keep `Result` small; match on [`Error::kind`].
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<ErrorKind>);

/// The kinds of [`Error`]. Each displays as one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused an operation.
    #[error("{}: cannot {action}: {}", path.display(), reason(source))]
    Io {
        /// The operation: "read", "write", "list".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A field of a file has an unusable value.
    #[error("{}: {field} is {value}: {why}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field's name in the file format (`dim[0]`, `vox_offset`).
        field: String,
        /// The value found.
        value: String,
        /// Why it cannot be used.
        why: String,
    },
    /// A mask contains a value that is not a whole number. A threshold would turn it into a mask.
    #[error("{}: voxel {voxel:?} is {value}: {why}", path.display())]
    NotALabel {
        /// The file.
        path: PathBuf,
        /// The first such voxel.
        voxel: [usize; 3],
        /// Its value.
        value: f64,
        /// The largest finite value of the mask, to propose a threshold.
        largest: f64,
        /// Why it cannot be used.
        why: &'static str,
    },
    /// A file is damaged or of an unexpected kind.
    #[error("{}: {why}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file uses a format, type or option that is not supported.
    #[error("{}: unsupported {what}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The unsupported feature.
        what: String,
    },
    /// Two images that must cover the same voxels do not.
    #[error(
        "{what} have different grids: {difference} ({left} vs {right}). Resample one of them or choose another file"
    )]
    Geometry {
        /// The two images, as in "mask a.nii and its image".
        what: String,
        /// How they differ, as in "a corner differs by 0.21 mm".
        difference: String,
        /// The first grid ([`crate::volume::Grid::describe`]).
        left: String,
        /// The second grid.
        right: String,
    },
    /// Two DICOM segmentations whose positions cannot be compared.
    #[error("{what} have different frames of reference, and no common series, so their positions cannot be compared")]
    FrameOfReference {
        /// The two segmentations, as in "segmentation a.dcm and reference b.dcm".
        what: String,
    },
    /// A setting or argument has an unusable value.
    #[error("{field} = {value}: {why}")]
    Config {
        /// The name as in `config.toml` or on the command line.
        field: String,
        /// The value given.
        value: String,
        /// Why it cannot be used.
        why: String,
    },
    /// Data exceeds its memory budget.
    #[error("{what} needs {needed_mib} MiB, which exceeds the limit of {allowed_mib} MiB")]
    Memory {
        /// The data to be loaded.
        what: String,
        /// Memory that the data needs, in MiB.
        needed_mib: u64,
        /// Memory that it may use, in MiB.
        allowed_mib: u64,
    },
    /// The recorded and the computed checksum differ.
    #[error("{}: checksum is {found}, expected {recorded}. The file is damaged", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// SHA-256 of the file.
        found: String,
        /// SHA-256 recorded when it was written.
        recorded: String,
    },
    /// A file has an unsupported format version.
    #[error("{}: format version {found}, but this program reads {supported}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: String,
        /// The version supported.
        supported: String,
    },
    /// Another process has locked the run folder.
    #[error("{}: locked by process {pid}. Wait until it ends, or stop it", path.display())]
    Locked {
        /// The run folder.
        path: PathBuf,
        /// The process that holds the lock.
        pid: u32,
    },
    /// Another process writes the verdicts of a cohort.
    #[error(
        "{}: process {process} on {machine} has been writing verdicts since {since}. Close the review there to write here",
        path.display()
    )]
    InReview {
        /// `review.jsonl`.
        path: PathBuf,
        /// The process that holds the lock; 0 if unknown.
        process: u32,
        /// Host name of the machine on which that process runs.
        machine: String,
        /// When it took the lock, UTC.
        since: String,
    },
    /// The requested device is not usable.
    #[error("device {requested}: {why}. Available: {found}")]
    Device {
        /// The device as requested.
        requested: String,
        /// Why it is not usable.
        why: String,
        /// The available devices.
        found: String,
    },
    /// A device is out of memory.
    #[error(
        "{device}: out of memory for {what} ({why}). Training stopped at the checkpoint of the last epoch. Resume with a \
         smaller training.micro_batch, or train a smaller network or on another device"
    )]
    DeviceMemory {
        /// Id and name of the device.
        device: String,
        /// What was being computed.
        what: String,
        /// The library's reason.
        why: String,
    },
    /// The device was lost during training.
    #[error("{device}: the device was lost ({why}). Training stopped. Resume from the checkpoint of the last epoch")]
    DeviceLost {
        /// Id and name of the device.
        device: String,
        /// The library's reason.
        why: String,
    },
    /// A loss is not finite.
    #[error(
        "{what} is {value} at epoch {epoch}, step {step} (slices {slices}). Training stopped. The last finite weights are kept"
    )]
    NonFinite {
        /// The loss.
        what: String,
        /// Its value.
        value: f64,
        /// Epoch, from 1.
        epoch: usize,
        /// Step within the epoch, from 1.
        step: usize,
        /// The slices of the batch.
        slices: String,
    },
    /// The user cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The tensor library failed.
    #[error("{step}: {why}")]
    Compute {
        /// What was being computed.
        step: String,
        /// The library's reason.
        why: String,
    },
}

/// The system's reason without its error number, which means nothing to users.
pub(crate) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

impl Error {
    /// What went wrong, to match on.
    pub fn kind(&self) -> &ErrorKind {
        &self.0
    }

    /// The message without the path that it starts with, which may name a patient.
    pub(crate) fn without_path(&self) -> String {
        let text = self.to_string();
        let path = match self.kind() {
            ErrorKind::Io { path, .. }
            | ErrorKind::Field { path, .. }
            | ErrorKind::NotALabel { path, .. }
            | ErrorKind::File { path, .. }
            | ErrorKind::Unsupported { path, .. }
            | ErrorKind::Checksum { path, .. }
            | ErrorKind::Version { path, .. }
            | ErrorKind::Locked { path, .. }
            | ErrorKind::InReview { path, .. } => path,
            // It names its data by their path.
            ErrorKind::Memory { needed_mib, allowed_mib, .. } => {
                return format!("needs {needed_mib} MiB, which exceeds the limit of {allowed_mib} MiB");
            }
            ErrorKind::Geometry { .. }
            | ErrorKind::FrameOfReference { .. }
            | ErrorKind::Config { .. }
            | ErrorKind::Device { .. }
            | ErrorKind::DeviceMemory { .. }
            | ErrorKind::DeviceLost { .. }
            | ErrorKind::NonFinite { .. }
            | ErrorKind::Cancelled
            | ErrorKind::Compute { .. } => return text,
        };
        text.strip_prefix(&format!("{}: ", path.display())).map_or_else(|| text.clone(), str::to_owned)
    }

    /// For `map_err`: adds the operation and the path to a system error.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        move |source| ErrorKind::Io { action, path: path.to_path_buf(), source }.into()
    }

    /// An [`ErrorKind::File`].
    pub fn file(path: &Path, why: impl Into<String>) -> Error {
        ErrorKind::File { path: path.to_path_buf(), why: why.into() }.into()
    }

    /// An [`ErrorKind::Field`].
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

    /// An [`ErrorKind::Config`].
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_without_its_path_keeps_every_other_word() {
        let path = Path::new("in");
        let system = || std::io::Error::from(std::io::ErrorKind::NotFound);
        for (error, expected) in [
            (Error::file(path, "resampling within it: in"), "resampling within it: in"),
            (Error::field(path, "dim[0]", 9, "not in 1 to 7"), "dim[0] is 9: not in 1 to 7"),
            (Error::io("read", path)(system()), "cannot read: entity not found"),
            (Error::config("series", "3", "is not in it"), "series = 3: is not in it"),
            (
                ErrorKind::Memory { what: "in (2 x 2)".into(), needed_mib: 2, allowed_mib: 1 }.into(),
                "needs 2 MiB, which exceeds the limit of 1 MiB",
            ),
        ] {
            assert_eq!(error.without_path(), expected);
        }
    }
}
