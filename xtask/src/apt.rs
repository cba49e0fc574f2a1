//! Where this machine gets Debian from: asked of its apt, never written down here.

use std::process::Command;

use anyhow::{Result, bail};

use crate::sh;

/// Debian's own keys; apt and mmdebstrap trust nothing else for what is fetched here.
pub const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The lines of a source list for `suite`, with its security updates where this machine gets them.
pub fn sources(suite: &str) -> Result<String> {
    let (main, security) = mirrors()?;
    let mut list = format!("deb [signed-by={KEYRING}] {main} {suite} main\n");
    // What is not released has no security updates of its own.
    if let Some(security) = security.filter(|_| suite != "sid") {
        list += &format!("deb [signed-by={KEYRING}] {security} {suite}-security main\n");
    }
    Ok(list)
}

/// Debian's mirror, and that of its security updates.
fn mirrors() -> Result<(String, Option<String>)> {
    let format = "$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)";
    let list = sh::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        format,
        "Created-By: Packages",
    ]))?;
    match (labelled(&list, "Debian"), labelled(&list, "Debian-Security")) {
        (Some(main), security) => Ok((main, security)),
        (None, _) => {
            bail!("this machine's apt knows no Debian mirror (is it Debian? has `apt-get update` been run?)")
        }
    }
}

fn labelled(targets: &str, label: &str) -> Option<String> {
    targets.lines().find_map(|line| {
        let mut fields = line.splitn(4, '|');
        let matches =
            [Some("Debian"), Some(label), Some("main")].into_iter().all(|want| fields.next() == want);
        fields.next().filter(|_| matches).map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_debians_own_and_not_another_repository() {
        let targets = "Other|Other|main|http://other.invalid/\nDebian|Debian-Security|main|http://s.invalid/\n\
                       Debian|Debian|contrib|http://c.invalid/\nDebian|Debian|main|http://d.invalid/debian/\n";
        assert_eq!(labelled(targets, "Debian").as_deref(), Some("http://d.invalid/debian/"));
        assert_eq!(labelled(targets, "Debian-Security").as_deref(), Some("http://s.invalid/"));
        assert_eq!(labelled("", "Debian"), None);
    }
}
