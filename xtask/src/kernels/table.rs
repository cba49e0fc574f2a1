//! What was seen on each kernel, as the table of docs/kernels.md.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result};

use crate::sh;

/// What was seen on one kernel.
pub struct Row {
    /// As it is asked for.
    pub version: &'static str,
    /// The Debian release.
    pub suite: &'static str,
    /// `uname -r`.
    pub release: String,
    /// The eBPF programs, and the instructions that the verifier went through where the kernel tells.
    pub programs: Vec<(String, Option<u32>)>,
    /// Whether it gives namespaces ids that never come again.
    pub namespace_ids: bool,
    /// The source that answers under `lockdown=confidentiality`.
    pub locked_down: String,
}

const DOCUMENT: &str = "docs/kernels.md";
const BEGIN: &str = "<!-- table: `cargo xtask kernels --bless` -->\n";
const END: &str = "<!-- end of table -->\n";

/// Puts the table into the document, between its marks.
pub fn write(rows: &[Row]) -> Result<()> {
    let path = sh::workspace()?.join(DOCUMENT);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {DOCUMENT}"))?;
    let (before, rest) = text.split_once(BEGIN).context("the document has no table")?;
    let (_, after) = rest.split_once(END).context("the document's table has no end")?;
    fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", table(rows)))?;
    eprintln!("{DOCUMENT} says what was seen");
    Ok(())
}

fn table(rows: &[Row]) -> String {
    let programs: BTreeSet<&str> =
        rows.iter().flat_map(|row| &row.programs).map(|(name, _)| name.as_str()).collect();
    let mut text =
        "\n| kernel | Debian | pods and namespaces by eBPF as by /proc | namespaces' own ids | demo | BTF hidden | locked down |"
            .to_owned();
    let mut rule = "\n|---|---|---|---|---|---|---|".to_owned();
    for name in &programs {
        text += &format!(" `{name}` |");
        rule += "---:|";
    }
    text += &rule;
    for row in rows {
        let locked_down = if row.locked_down == "bpf" { "eBPF" } else { "/proc" };
        let _ = write!(
            text,
            "\n| {} | {} ({}) | yes | {} | yes | /proc, says why | {locked_down} |",
            row.version,
            row.suite,
            row.release,
            if row.namespace_ids { "yes" } else { "none" }
        );
        for name in &programs {
            let found = row.programs.iter().find(|(program, _)| program == name);
            let _ = match found {
                Some((_, Some(instructions))) => write!(text, " {instructions} |"),
                Some((_, None)) => write!(text, " loads |"),
                None => write!(text, " refused |"),
            };
        }
    }
    text + "\n\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::KERNELS;

    #[test]
    fn the_document_has_a_row_for_each_kernel() {
        let text = fs::read_to_string(sh::workspace().unwrap().join(DOCUMENT)).unwrap();
        for (version, suite) in KERNELS {
            let row = format!("| {version} | {suite} (");
            assert!(text.contains(&row), "{DOCUMENT} has no row {row}: `cargo xtask kernels --bless`");
        }
        assert!(text.contains(BEGIN) && text.contains(END));
    }

    #[test]
    fn what_the_kernel_does_not_tell_is_not_made_up() {
        let row = |version, programs| Row {
            version,
            suite: "x",
            release: "1".to_owned(),
            programs,
            namespace_ids: version == "a",
            locked_down: "bpf".to_owned(),
        };
        let text = table(&[
            row("a", vec![("one".to_owned(), Some(7)), ("two".to_owned(), None)]),
            row("b", vec![("one".to_owned(), None)]),
        ]);
        assert!(
            text.contains("| yes | yes | yes | /proc, says why | eBPF | 7 | loads |")
                && text.contains("| yes | none | yes | /proc, says why | eBPF | loads | refused |"),
            "{text}"
        );
    }
}
