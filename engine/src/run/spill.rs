//! Temporary files for the undo of edits beyond the memory budget.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::edit::history::Spill;
use crate::{Error, Result};

/// A spill in a new file of `folder`, such as the system's folder for temporary files. It is gone with the process.
pub fn in_folder(folder: &Path) -> Result<Spill> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("amlp-undo-{}-{number}.tmp", std::process::id()));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(windows)]
        {
            use std::os::windows::fs::OpenOptionsExt;
            /// `FILE_FLAG_DELETE_ON_CLOSE`.
            const DELETE_ON_CLOSE: u32 = 0x0400_0000;
            options.custom_flags(DELETE_ON_CLOSE);
        }
        match options.open(&path) {
            Ok(file) => {
                // An open file outlives its name on Unix.
                #[cfg(unix)]
                std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
                return Ok(Spill::new(file, path));
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::io("write", &path)(e)),
        }
    }
}
