//! A Debian release's kernel, downloaded by apt and unpacked, never installed.
//!
//! apt gets a state folder and a source list of its own, so the machine's apt is neither changed nor asked what it
//! trusts beyond Debian's own keys; only where the machine gets Debian from is taken over.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::apt::{KEYRING, sources};
use crate::sh;

/// Debian's kernel without drivers for real hardware: small, and all that an emulated machine needs.
const META_PACKAGE: &str = "linux-image-cloud-amd64";

/// The kernel image of `suite`, kept in `folder` once it is there.
pub fn kernel(suite: &str, folder: &Path) -> Result<PathBuf> {
    let unpacked = folder.join("unpacked");
    if let Some(image) = image_in(&unpacked) {
        return Ok(image);
    }
    ensure!(Path::new(KEYRING).is_file(), "no {KEYRING}: Debian's kernels are fetched on Debian only");
    let apt = Apt::new(folder.join("apt"), suite)?;
    eprintln!("kernels: fetches Debian {suite}'s kernel");
    apt.run("apt-get", &["update", "-q"])?;
    let meta = apt.run("apt-cache", &["show", "--no-all-versions", META_PACKAGE])?;
    let package = depends_on(&meta, "linux-image-")
        .with_context(|| format!("{META_PACKAGE} of {suite} names no kernel"))?;
    // From 7.x on the image's package only asks for others, one of which holds it.
    let about = apt.run("apt-cache", &["show", "--no-all-versions", package])?;
    let package = depends_on(&about, "linux-binary-").unwrap_or(package);
    apt.run("apt-get", &["download", "-q", package])?;
    let deb = fs::read_dir(&apt.folder)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|ext| ext == "deb"))
        .context("apt downloaded no package")?;
    // Unpacked beside and then renamed, so that a broken download is never taken for a kernel.
    let partial = folder.join("partial");
    let _ = fs::remove_dir_all(&partial);
    sh::output(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&partial))?;
    let image = image_among_modules(&partial).or_else(|| image_in(&partial));
    let image = image.with_context(|| format!("{package} holds no kernel image"))?;
    // Its modules are ten times the size of the image, and nothing here loads one.
    let only = folder.join("only");
    let _ = fs::remove_dir_all(&only);
    fs::create_dir_all(only.join("boot"))?;
    fs::rename(image, only.join("boot/vmlinuz-debian"))?;
    fs::remove_dir_all(&partial)?;
    let _ = fs::remove_dir_all(&unpacked);
    fs::rename(&only, &unpacked)?;
    fs::remove_dir_all(&apt.folder)?;
    image_in(&unpacked).context("the kernel image is gone")
}

/// `usr/lib/modules/<release>/vmlinuz`, where it is from 7.x on.
fn image_among_modules(unpacked: &Path) -> Option<PathBuf> {
    let modules = fs::read_dir(unpacked.join("usr/lib/modules")).ok()?;
    modules.filter_map(Result::ok).map(|release| release.path().join("vmlinuz")).find(|path| path.is_file())
}

fn image_in(unpacked: &Path) -> Option<PathBuf> {
    let boot = fs::read_dir(unpacked.join("boot")).ok()?;
    boot.filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-")))
}

/// The package of that kind among a package's dependencies, such as `linux-image-5.10.0-46-cloud-amd64`.
fn depends_on<'about>(about: &'about str, kind: &str) -> Option<&'about str> {
    let depends = about.lines().find_map(|line| line.strip_prefix("Depends: "))?;
    depends.split([' ', ',']).find(|word| word.starts_with(kind))
}

/// An apt that shares nothing with the machine's but the way to its mirror.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn new(folder: PathBuf, suite: &str) -> Result<Self> {
        let _ = fs::remove_dir_all(&folder);
        for needed in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(needed))?;
        }
        fs::write(folder.join("status"), "")?;
        fs::write(folder.join("sources.list"), sources(suite)?)?;
        Ok(Self { folder })
    }

    fn run(&self, program: &str, args: &[&str]) -> Result<String> {
        let at = |name: &str| self.folder.join(name).display().to_string();
        let options = [
            format!("Dir::State={}", at("state")),
            format!("Dir::State::status={}", at("status")),
            format!("Dir::Cache={}", at("cache")),
            format!("Dir::Etc::SourceList={}", at("sources.list")),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            "Dir::Etc::Preferences=/dev/null".to_owned(),
            "Dir::Etc::PreferencesParts=/dev/null".to_owned(),
            "APT::Architecture=amd64".to_owned(),
            "APT::Architectures=amd64".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            // apt's own user may not write into this folder.
            format!("APT::Sandbox::User={}", if sh::is_root() { "root" } else { "" }),
        ];
        let mut command = Command::new(program);
        for option in options {
            command.arg("-o").arg(option);
        }
        sh::output(command.args(args).current_dir(&self.folder).env("LC_ALL", "C").env_remove("APT_CONFIG"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_what_the_meta_package_needs() {
        let about =
            "Package: linux-image-cloud-amd64\nDepends: linux-image-5.10.0-46-cloud-amd64 (= 5.10.262-1)\n";
        assert_eq!(depends_on(about, "linux-image-"), Some("linux-image-5.10.0-46-cloud-amd64"));
        assert_eq!(depends_on(about, "linux-binary-"), None);
        assert_eq!(depends_on("Package: x\n", "linux-image-"), None);
    }
}
