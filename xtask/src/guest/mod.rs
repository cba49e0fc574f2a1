//! `cargo xtask guest`: the tests on a node such as users have, which the building machine need not be.
//!
//! Debian 13 with systemd, cgroup v2, AppArmor, a readable PID 1 and fentry, booted under QEMU's emulation (no /dev/kvm
//! needed). Its disk is made once, for each recipe, and no run changes it; what is tested comes on a second disk, made
//! anew. The tests' words come out over a serial line, and are judged here.

mod image;
mod judge;
mod payload;
mod suites;

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::cargo::target_dir;
use crate::{dist, qemu, setup};

/// A whole run takes some minutes; on a busy machine several times that.
const TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// Two daemons, their containers and a disk cache.
const MEMORY_MIB: u32 = 2560;

/// Boots the guest and runs the chosen suites in it, all of them if none is named; an error unless every test passes.
pub fn guest(chosen: &[String]) -> Result<()> {
    ensure!(std::env::consts::ARCH == "x86_64", "the guest that is booted here is for x86_64 only");
    let suites = suites::choose(chosen)?;
    setup::setup(true)?;
    let program = dist::dist()?;
    let folder = target_dir()?.join("guest");
    fs::create_dir_all(&folder)?;
    let image = image::image(&folder)?;
    let payload = payload::disk(&folder, &program, &suites)?;
    let start = Instant::now();
    let log = boot(&folder, &image, &payload)?;
    let seconds = start.elapsed().as_secs();
    let summary = judge::judge(&log, &suites)
        .with_context(|| format!("the guest's logs are in {}", folder.display()))?;
    println!("guest: ok, {summary}, {seconds} s");
    Ok(())
}

/// Boots, shows what the tests say while they say it, and gives it.
fn boot(folder: &Path, image: &image::Image, payload: &Path) -> Result<String> {
    let (console, log) = (folder.join("console.log"), folder.join("tests.log"));
    for old in [&console, &log] {
        let _ = fs::remove_file(old);
    }
    eprintln!("guest: boots Debian {} ({} follows the tests)", image::SUITE, log.display());
    let drive =
        |path: &Path| format!("file={},if=virtio,format=raw,cache=unsafe,snapshot=on", path.display());
    let mut shown = Shown { path: log.clone(), at: 0 };
    qemu::run(
        qemu::machine(MEMORY_MIB, &console, &log)
            .args(["-smp", "2", "-append", "root=/dev/vda rw console=ttyS0 quiet panic=-1"])
            .arg("-kernel")
            .arg(&image.kernel)
            .arg("-initrd")
            .arg(&image.initrd)
            .arg("-drive")
            .arg(drive(&image.disk))
            .arg("-drive")
            .arg(drive(payload)),
        TIMEOUT,
        &console,
        || shown.follow(),
    )?;
    let said =
        fs::read(&log).with_context(|| format!("the guest's console ends:\n{}", qemu::tail(&console)))?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// A file that grows, and how much of it was shown.
struct Shown {
    path: PathBuf,
    at: u64,
}

impl Shown {
    fn follow(&mut self) {
        let mut new = Vec::new();
        let read = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.at))?;
            file.read_to_end(&mut new)
        });
        // Only a convenience: what is judged is read at the end, errors included.
        if let Ok(len) = read {
            self.at += u64::try_from(len).unwrap_or(0);
            let _ = std::io::stderr().write_all(&new);
        }
    }
}
