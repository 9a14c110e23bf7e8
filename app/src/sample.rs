//! The sample study that comes with the program.

use std::path::{Path, PathBuf};

/// Its folder: next to the program, in the build tree, or below the working directory.
pub fn folder() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(|p| p.join("assets/sample")));
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/sample");
    let candidates = [beside, built.canonicalize().ok(), Some(PathBuf::from("assets/sample"))];
    candidates.into_iter().flatten().find(|folder| folder.is_dir())
}
