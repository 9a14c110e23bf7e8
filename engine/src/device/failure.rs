//! Kinds of device failures, read from the messages of drivers and of the tensor library.

use crate::{Error, ErrorKind};

/// The kind of a device failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// An allocation did not fit: a smaller one may.
    Memory,
    /// The device is gone, or its results can no longer be trusted.
    Lost,
    /// Anything else.
    Other,
}

/// Messages of backends that run out of memory, in lower case.
const MEMORY: [&str; 7] = [
    "out of device memory",
    "out of memory",
    "outofmemory",
    "out_of_memory",
    "can't allocate",
    "not enough memory",
    "every page size the memory tracks",
];

/// Messages of backends whose device is gone.
const LOST: [&str; 6] =
    ["device lost", "devicelost", "device_lost", "device is lost", "device is poisoned", "device was lost"];

impl Failure {
    /// The kind of an error. The engine's own errors about files and settings are never a device's.
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
        // A lost device may complain about memory as well; the loss is what matters.
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
    fn errors_of_drivers_are_told_apart() {
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
    fn what_is_no_devices_error_is_other() {
        let error = Error::config("labels", "out of memory", "no such patients");
        assert_eq!(Failure::of(&error), Failure::Other);
    }
}
