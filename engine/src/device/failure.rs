//! Classifying device errors.

use crate::{Error, ErrorKind};

/// Class of a device error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Out of memory. A smaller batch may fit.
    Memory,
    /// The device is lost or its results cannot be trusted.
    Lost,
    /// Any other error.
    Other,
}

/// Out-of-memory messages of the backends, in lower case.
const MEMORY: [&str; 7] = [
    "out of device memory",
    "out of memory",
    "outofmemory",
    "out_of_memory",
    "can't allocate",
    "not enough memory",
    "every page size the memory tracks",
];

/// Device-lost messages of the backends, in lower case.
const LOST: [&str; 6] =
    ["device lost", "devicelost", "device_lost", "device is lost", "device is poisoned", "device was lost"];

impl Failure {
    /// Classifies an error. Errors about files and settings are [`Failure::Other`].
    pub fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Compute { why, .. } => Self::of_text(why),
            ErrorKind::DeviceMemory { .. } => Self::Memory,
            ErrorKind::DeviceLost { .. } => Self::Lost,
            _ => Self::Other,
        }
    }

    fn of_text(text: &str) -> Self {
        let text = text.to_lowercase();
        // A lost device may report memory errors as well, so the loss takes precedence.
        if LOST.iter().any(|words| text.contains(words)) {
            Self::Lost
        } else if MEMORY.iter().any(|words| text.contains(words)) {
            Self::Memory
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn driver_messages_are_classified() {
        for (text, expected) in [
            ("out of device memory allocating 4096 bytes", Failure::Memory),
            ("can't allocate buffer of size: 9000000000", Failure::Memory),
            ("CUDA_ERROR_OUT_OF_MEMORY", Failure::Memory),
            ("wgpu error: Out of Memory", Failure::Memory),
            ("The device is poisoned: CUDA_ERROR_ILLEGAL_ADDRESS", Failure::Lost),
            ("Parent device is lost", Failure::Lost),
            ("ERROR_DEVICE_LOST while out of memory", Failure::Lost),
            ("index out of bounds", Failure::Other),
        ] {
            assert_eq!(Failure::of_text(text), expected, "{text}");
        }
    }

    #[test]
    fn only_compute_errors_are_classified_by_their_text() {
        let error = Error::config("labels", "out of memory", "no such patients");
        assert_eq!(Failure::of(&error), Failure::Other);
    }
}
