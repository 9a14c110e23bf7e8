//! The sample study that comes with the program.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Its folder: next to the program, in the build tree, or below the working directory. Looked for once, so that the window
/// does not wait for the disk again.
static FOLDER: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let beside = std::env::current_exe().ok().and_then(|exe| exe.parent().map(|p| p.join("assets/sample")));
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/sample");
    let candidates = [beside, built.canonicalize().ok(), Some(PathBuf::from("assets/sample"))];
    candidates.into_iter().flatten().find(|folder| folder.is_dir())
});

/// The folder of the sample study, if it was found.
pub fn folder() -> Option<PathBuf> {
    FOLDER.clone()
}
