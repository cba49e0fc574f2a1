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
        // /var/run is a link to /run almost everywhere: whoever listens there is asked once. And that of a mounted host
        // leads back into the reader's own files.
        let linked = context.host("/var/run").is_symlink();
        let usual = usual.iter().filter(|path| !(linked && path.starts_with("/var/run/")));
        let sockets = usual.map(|path| context.host(path)).filter(is_socket).collect();
        Self { sockets, folders: Vec::new(), named: false }
    }

    /// Whose sockets to believe: root's, unless the user named them.
    #[must_use]
    pub const fn trust(&self) -> Trust {
        if self.named { Trust::Anyone } else { Trust::Root }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::source::Options;

    #[test]
    fn who_listens_at_run_is_not_asked_again_at_var_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("run")).unwrap();
        fs::create_dir_all(path("var")).unwrap();
        symlink("../run", path("var/run")).unwrap();
        let _listener = UnixListener::bind(path("run/one.sock")).unwrap();
        fs::write(path("run/file.sock"), "").unwrap();
        let options = Options { host_root: folder.path().to_owned(), ..Options::default() };
        let context = Context { options, deadline: Instant::now() + Duration::from_secs(60) };
        let usual = ["/run/one.sock", "/var/run/one.sock", "/run/none.sock", "/run/file.sock"];
        let found = || Endpoints::of(&context, Runtime::Podman, &usual).sockets;
        assert_eq!(found(), [path("run/one.sock")]);
        // A folder of its own is another place.
        fs::remove_file(path("var/run")).unwrap();
        fs::create_dir_all(path("var/run")).unwrap();
        let _other = UnixListener::bind(path("var/run/one.sock")).unwrap();
        assert_eq!(found(), [path("run/one.sock"), path("var/run/one.sock")]);
    }
}
