//! The images of the tests, made from what Debian installs: no registry is asked for anything.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::helper;

/// What stands for nginx: it serves the folder that nginx serves and logs where nginx logs, as PID 1.
const NGINX: &str = "exec httpd -f -vv -p 80 -h /usr/share/nginx/html 2>>/var/log/nginx/access.log";

/// Builds the images' trees in `folder` and imports them by `docker`.
pub fn import(folder: &Path, docker: impl Fn(&[&str]) -> Result<(), String>) -> Result<(), String> {
    let trees = folder.join("images");
    let busybox = busybox(&trees).map_err(|error| format!("images: {error}"))?;
    let pause = trees.join("pause");
    let coreutils = trees.join("coreutils");
    fs::create_dir_all(&pause).map_err(|error| error.to_string())?;
    helper::compile("pause", &pause)?;
    helper::compile("helper", &busybox.join("bin"))?;
    with_libraries(&coreutils, &["/usr/bin/sleep", "/usr/bin/tail", "/usr/bin/dash"])?;
    let shell = format!("CMD {}", serde_json::json!(["sh", "-c", NGINX]));
    for (name, tree, change) in [
        ("busybox", &busybox, "CMD [\"sh\"]"),
        ("nginx", &busybox, shell.as_str()),
        ("pause", &pause, "CMD [\"/pause\"]"),
        ("coreutils", &coreutils, "CMD [\"/usr/bin/sleep\", \"infinity\"]"),
    ] {
        let archive = folder.join("image.tar").to_string_lossy().into_owned();
        let packed = Command::new("tar").arg("-C").arg(tree).args(["-cf", &archive, "."]).status();
        if !packed.as_ref().is_ok_and(std::process::ExitStatus::success) {
            return Err(format!("tar of image {name}: {packed:?}"));
        }
        docker(&["import", "--change", change, &archive, name])?;
        fs::remove_file(&archive).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn busybox(trees: &Path) -> std::io::Result<PathBuf> {
    let root = trees.join("busybox");
    for name in
        ["bin", "etc", "root", "tmp", "usr/share/nginx/html", "var/log/nginx", "var/spool/cron/crontabs"]
    {
        fs::create_dir_all(root.join(name))?;
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
    fs::write(root.join("usr/share/nginx/html/index.html"), "it works\n")?;
    fs::write(root.join("var/spool/cron/crontabs/root"), "0 3 * * * true\n")?;
    for (source, name) in [("busybox", "busybox"), ("tini-static", "tini"), ("catatonit", "catatonit")] {
        let source = ["/bin", "/usr/bin"]
            .map(|folder| Path::new(folder).join(source))
            .into_iter()
            .find(|path| path.exists());
        let source = source.ok_or_else(|| {
            std::io::Error::other(format!(
                "{name} is not installed: `cargo xtask setup` installs what the tests need"
            ))
        })?;
        fs::copy(source, root.join("bin").join(name))?;
    }
    let applets = Command::new(root.join("bin/busybox")).arg("--list").output()?.stdout;
    for applet in String::from_utf8_lossy(&applets).lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", root.join("bin").join(applet))?;
    }
    Ok(root)
}

/// Ordinary, dynamically linked programs and the libraries that they load.
fn with_libraries(root: &Path, programs: &[&str]) -> Result<(), String> {
    let copy = |path: &str| {
        let target = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(target.parent().unwrap_or(root))
            .and_then(|()| fs::copy(path, target))
            .map_err(|error| format!("{path}: {error}"))
    };
    for program in programs {
        copy(program)?;
        let listed =
            Command::new("ldd").arg(program).output().map_err(|error| format!("ldd: {error}"))?.stdout;
        for word in String::from_utf8_lossy(&listed).split_whitespace().filter(|word| word.starts_with('/')) {
            copy(word)?;
        }
    }
    Ok(())
}
