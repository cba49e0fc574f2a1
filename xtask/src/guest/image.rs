//! The guest's own disk: a Debian release made by mmdebstrap from this machine's mirror, kept for each recipe.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::{apt, sh};

/// The release.
pub const SUITE: &str = "trixie";

/// What is on the node beside the smallest Debian.
const PACKAGES: [&str; 22] = [
    "apparmor",
    "busybox-static",
    "catatonit",
    "containerd",
    "containernetworking-plugins",
    "crun",
    "dbus",
    "docker-cli",
    "docker.io",
    "iproute2",
    "iptables",
    "linux-image-cloud-amd64",
    "nftables",
    "podman",
    "procps",
    "runc",
    "systemd",
    "systemd-sysv",
    "tini",
    "udev",
    "util-linux",
    "uidmap",
];

/// Files of the node's, by their paths.
const FILES: [(&str, &str); 4] = [
    (
        "etc/systemd/system/inspector-tests.service",
        "[Unit]\nDescription=What this node was booted for\nAfter=multi-user.target\n\n\
         [Service]\nType=oneshot\nExecStartPre=/bin/mkdir -p /payload\n\
         ExecStartPre=/bin/mount /dev/vdb /payload\nExecStart=/bin/sh /payload/run\n",
    ),
    // Containers outlive the daemon: what is on disk is then all that is known of them.
    ("etc/docker/daemon.json", "{ \"live-restore\": true }\n"),
    ("etc/hostname", "node\n"),
    ("etc/hosts", "127.0.0.1 localhost node\n"),
];

/// Links of the node's: where, and to what. Nobody logs in.
const LINKS: [(&str, &str); 3] = [
    ("etc/systemd/system/multi-user.target.wants/inspector-tests.service", "../inspector-tests.service"),
    ("etc/systemd/system/serial-getty@ttyS0.service", "/dev/null"),
    ("etc/systemd/system/getty@tty1.service", "/dev/null"),
];

/// A node that can be booted.
pub struct Image {
    /// Its root, an ext4.
    pub disk: PathBuf,
    /// Its kernel.
    pub kernel: PathBuf,
    /// The first file system of that kernel.
    pub initrd: PathBuf,
}

impl Image {
    fn at(folder: &Path) -> Self {
        Self {
            disk: folder.join("disk.img"),
            kernel: folder.join("vmlinuz"),
            initrd: folder.join("initrd.img"),
        }
    }
}

/// The image of the recipe above, made if it is not in `folder` yet.
pub fn image(folder: &Path) -> Result<Image> {
    let mut hasher = DefaultHasher::new();
    (SUITE, PACKAGES, FILES, LINKS).hash(&mut hasher);
    let home = folder.join(format!("image-{:016x}", hasher.finish()));
    if !home.is_dir() {
        remove_others(folder)?;
        let start = Instant::now();
        eprintln!(
            "guest: makes Debian {SUITE} with mmdebstrap, once: 1 to 3 minutes and 250 MB from the mirror"
        );
        let partial = folder.join("partial");
        make(&partial).context("the guest's disk could not be made")?;
        // Complete, or not there at all.
        fs::rename(&partial, &home)?;
        eprintln!("guest: the disk took {} s and stays in {}", start.elapsed().as_secs(), home.display());
    }
    Ok(Image::at(&home))
}

fn make(partial: &Path) -> Result<()> {
    fs::create_dir_all(partial)?;
    let (root, image) = (partial.join("root"), Image::at(partial));
    let unsigned = apt::sources(SUITE)?.replace(&format!("[signed-by={}] ", apt::KEYRING), "");
    let sources = partial.join("sources.list");
    fs::write(&sources, unsigned)?;
    let include = format!("--include={}", PACKAGES.join(","));
    let log = partial.join("mmdebstrap.log");
    sh::run(
        sh::as_root("mmdebstrap")
            .args(["--mode=root", "--variant=minbase", "--quiet"])
            .arg(include)
            .arg(format!("--keyring={}", apt::KEYRING))
            .arg(format!("--logfile={}", log.display()))
            .arg(SUITE)
            .arg(&root)
            .arg(&sources),
    )
    .with_context(|| format!("{}: see {}", SUITE, log.display()))?;
    for (path, text) in FILES {
        let staged = partial.join("staged");
        fs::write(&staged, text)?;
        sh::output(sh::as_root("install").args(["-D", "-m", "0644"]).arg(&staged).arg(root.join(path)))?;
    }
    for (path, target) in LINKS {
        sh::output(sh::as_root("ln").args(["-sf", target]).arg(root.join(path)))?;
    }
    for (pattern, name) in [("vmlinuz-", &image.kernel), ("initrd.img-", &image.initrd)] {
        let found = fs::read_dir(root.join("boot"))?
            .filter_map(Result::ok)
            .find(|entry| entry.file_name().to_string_lossy().starts_with(pattern))
            .with_context(|| format!("no {pattern}… in the guest's /boot"))?;
        sh::output(sh::as_root("install").args(["-m", "0644"]).arg(found.path()).arg(name))?;
    }
    // The journal only costs time: no run's changes are kept.
    sh::output(
        sh::as_root("mke2fs")
            .args(["-q", "-t", "ext4", "-O", "^has_journal", "-d"])
            .arg(&root)
            .arg(&image.disk)
            .arg("4G"),
    )?;
    sh::output(sh::as_root("rm").arg("-rf").arg(&root)).map(drop)
}

/// Images of other recipes, and what a run that was interrupted left.
fn remove_others(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)?.filter_map(Result::ok) {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("image-") || name == "partial" {
            sh::output(sh::as_root("rm").args(["-rf", "--one-file-system"]).arg(entry.path()))?;
        }
    }
    Ok(())
}

/// Makes an ext4 of a folder's content, with room for `spare_mib` more.
pub fn pack(folder: &Path, disk: &Path, spare_mib: u64) -> Result<()> {
    let _ = fs::remove_file(disk);
    let kib = sh::output(Command::new("du").args(["-sk"]).arg(folder))?;
    let kib: u64 = kib.split_whitespace().next().unwrap_or_default().parse().context("du said no number")?;
    let size = format!("{}M", kib / 1024 * 11 / 10 + spare_mib);
    sh::output(
        Command::new("mke2fs")
            .args(["-q", "-t", "ext4", "-O", "^has_journal", "-d"])
            .arg(folder)
            .arg(disk)
            .arg(size),
    )
    .map(drop)
}
