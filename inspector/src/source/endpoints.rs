//! Where to ask a runtime: at what the user named with `--socket RUNTIME=PATH`, else at the usual places.
//!
//! A folder named in place of a socket is read instead of asking: a data root, whose meaning is the runtime's.

use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use super::Context;
use crate::observation::Runtime;
use crate::source::http::Trust;

/// Where to ask one runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Sockets, as they are to be seen here.
    pub sockets: Vec<PathBuf>,
    /// Folders to read, as they are to be seen here. Only ever named by the user.
    pub folders: Vec<PathBuf>,
    /// Whether the user named them. Then nowhere else is asked, and a refusal is news.
    pub named: bool,
}

impl Endpoints {
    /// What the user named for this runtime, else those of the `usual` sockets (paths of the host) that are there.
    #[must_use]
    pub fn of(context: &Context, runtime: Runtime, usual: &[&str]) -> Self {
        let named: Vec<&Path> = context
            .options
            .sockets
            .iter()
            .filter(|(of, _)| *of == runtime)
            .map(|(_, path)| path.as_path())
            .collect();
        if !named.is_empty() {
            let (folders, sockets): (Vec<&Path>, Vec<&Path>) = named.iter().partition(|path| path.is_dir());
            let owned = |paths: Vec<&Path>| paths.into_iter().map(Path::to_path_buf).collect();
            return Self { sockets: owned(sockets), folders: owned(folders), named: true };
        }
        let is_socket =
            |path: &PathBuf| path.symlink_metadata().is_ok_and(|data| data.file_type().is_socket());
        let sockets = usual.iter().map(|path| context.host(path)).filter(is_socket).collect();
        Self { sockets, folders: Vec::new(), named: false }
    }

    /// Whose sockets to believe: root's, unless the user named them.
    #[must_use]
    pub const fn trust(&self) -> Trust {
        if self.named { Trust::Anyone } else { Trust::Root }
    }
}
