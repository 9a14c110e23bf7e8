//! Temporary files for the edits of an undo history beyond the memory budget.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::edit::history::Spill;
use crate::{Error, Result};

/// A spill in a new file of `folder`, such as the system's temporary folder. It is deleted when the process ends.
pub fn in_folder(folder: &Path) -> Result<Spill> {
    let (file, path) = create(folder)?;
    Ok(Spill::new(file, path))
}

/// Like [`in_folder`], but the file is created by the first write. Errors name the folder.
pub fn lazily(folder: PathBuf) -> Spill {
    Spill::new(LazyFile { folder: folder.clone(), file: None }, folder)
}

/// A file that the first write creates.
struct LazyFile {
    folder: PathBuf,
    file: Option<File>,
}

impl LazyFile {
    fn file(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            self.file = Some(create(&self.folder).map_err(io::Error::other)?.0);
        }
        self.file.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

impl Read for LazyFile {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.file()?.read(bytes)
    }
}

impl Write for LazyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), File::flush)
    }
}

impl Seek for LazyFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file()?.seek(to)
    }
}

fn create(folder: &Path) -> Result<(File, PathBuf)> {
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
                return Ok((file, path));
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::io("write", &path)(e)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use glam::DAffine3;

    use super::*;
    use crate::edit::{Delta, EditLabels, History};
    use crate::volume::{Grid, LabelVolume};

    #[test]
    fn the_file_is_created_by_the_first_edit_beyond_the_budget() {
        let folder = tempfile::tempdir().unwrap();
        // A folder that does not exist yet: opening a file in it would fail.
        let later = folder.path().join("later");
        let grid = Grid::new([4, 4, 4], DAffine3::IDENTITY);
        let mut history = History::new(0, lazily(later.clone()));
        let mut labels = EditLabels::new(grid.clone());
        let full = EditLabels::from_volume(&LabelVolume::new(grid, vec![1_u8; 64]).unwrap());
        let delta = Delta::between(&labels, &full);
        assert!(delta.apply(&mut labels));
        assert!(history.push("all", &delta).is_err(), "the folder is missing");
        assert_eq!(history.undo_name(), Some("all"), "the edit stays in memory");
        std::fs::create_dir(&later).unwrap();
        history.push("nothing", &Delta::empty(labels.dims())).unwrap();
        assert_eq!(history.memory_bytes(), 0);
        history.jump(0, &mut labels).unwrap();
        assert!(labels.voxel_counts().is_empty());
    }
}
