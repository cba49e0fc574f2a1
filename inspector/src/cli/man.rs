//! `inspector man`: the manual pages, one for each command, from the one definition of the flags.
//!
//! The flags of all commands stand in inspector(1) only; the other pages have their own and point there.

use std::io;
use std::path::Path;

use clap::{Args as _, Command, CommandFactory as _};
use clap_mangen::Man;

use super::args::{Cli, Global, ManArgs};
use super::failure::Failure;
use super::output;

/// A manual page in roff.
struct Page {
    /// `inspector`, `inspector-pods`.
    name: String,
    text: String,
}

/// Prints one page, or writes all of them.
///
/// # Errors
/// If there is no such command, or nowhere to write.
pub fn run(args: &ManArgs) -> Result<(), Failure> {
    let pages = pages().map_err(|error| {
        Failure::collect(format!("could not make the manual pages: {error}; this is a bug, please report it"))
    })?;
    if let Some(folder) = &args.dir {
        return write(&pages, folder);
    }
    let wanted = args.command.as_ref().map_or("inspector".to_owned(), |name| format!("inspector-{name}"));
    match pages.iter().find(|page| page.name == wanted) {
        Some(page) => output::print(&page.text),
        None => Err(Failure::usage(format!("no command is called {:?}; see inspector --help", args.command))),
    }
}

fn write(pages: &[Page], folder: &Path) -> Result<(), Failure> {
    let failed = |path: &Path, error: io::Error| {
        Failure::collect(format!(
            "could not write {}: {error}; name a folder that you may write to",
            path.display()
        ))
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for page in pages {
        let path = folder.join(format!("{}.1", page.name));
        std::fs::write(&path, &page.text).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

fn pages() -> io::Result<Vec<Page>> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let shared: Vec<_> = Global::augment_args(Command::new("shared"))
        .get_arguments()
        .map(|arg| arg.get_id().clone())
        .collect();
    let version = root.get_version().unwrap_or_default().to_owned();
    let names: Vec<String> = root.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let mut pages = vec![page(root.clone(), &version, &names)?];
    for command in root.get_subcommands() {
        let mut own = command.clone();
        for id in &shared {
            own = own.mut_arg(id, |arg| arg.hide(true));
        }
        pages.push(page(own, &version, &[])?);
    }
    Ok(pages)
}

/// The page of a command, which names the pages of the `others` if it is the first.
fn page(command: Command, version: &str, others: &[String]) -> io::Result<Page> {
    let name = command.get_display_name().unwrap_or("inspector").to_owned();
    let more = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let is_root = !others.is_empty();
    let man = Man::new(command).source(format!("inspector {version}")).manual("inspector");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if is_root {
        man.render_subcommands_section(&mut text)?;
    }
    let mut text = String::from_utf8_lossy(&text).into_owned();
    text.push_str(&sections(&more));
    text.push_str(".SH \"SEE ALSO\"\n");
    if is_root {
        let others: Vec<String> =
            others.iter().map(|other| format!("\\fBinspector\\-{}\\fR(1)", escaped(other))).collect();
        text.push_str(&others.join(",\n"));
        text.push('\n');
    } else {
        text.push_str(
            "\\fBinspector\\fR(1), also for the flags that all commands share, before or after their names\n",
        );
    }
    Ok(Page { name, text })
}

/// What stands after the flags in `--help`: a line that ends with a colon heads a section, whose lines stay as they are.
fn sections(text: &str) -> String {
    let mut out = String::new();
    let mut in_section = false;
    for line in text.lines() {
        match line.strip_suffix(':').filter(|heading| !heading.starts_with(' ')) {
            Some(heading) => {
                out.push_str(if in_section { ".fi\n" } else { "" });
                out.push_str(&format!(".SH \"{}\"\n.nf\n", escaped(&heading.to_uppercase())));
                in_section = true;
            }
            None if in_section => {
                out.push_str(&escaped(line));
                out.push('\n');
            }
            None => {}
        }
    }
    out.push_str(if in_section { ".fi\n" } else { "" });
    out
}

/// Text that roff prints as it is.
fn escaped(line: &str) -> String {
    let escaped = line.replace('\\', "\\e").replace('-', "\\-");
    // At the start of a line these would begin a request.
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_own_flags_only() {
        let pages = pages().unwrap();
        let names: Vec<&str> = pages.iter().map(|page| page.name.as_str()).collect();
        let commands = Cli::command();
        let expected: Vec<String> = std::iter::once("inspector".to_owned())
            .chain(commands.get_subcommands().map(|command| format!("inspector-{}", command.get_name())))
            .collect();
        assert_eq!(names, expected);
        let text = |name: &str| &pages.iter().find(|page| page.name == name).unwrap().text;
        for word in ["\\-\\-host\\-root", "\\-\\-replay", "inspector\\-pods", ".SH \"EXIT CODES\""] {
            assert!(text("inspector").contains(word), "{word}\n{}", text("inspector"));
        }
        let pods = text("inspector-pods");
        for word in ["\\-\\-verdict", "inspector pods", ".SH EXAMPLES", "inspector\\fR(1)"] {
            assert!(pods.replace('"', "").contains(word), "{word}\n{pods}");
        }
        for page in &pages[1..] {
            assert!(!page.text.contains("\\-\\-host\\-root\\fR"), "{} repeats the shared flags", page.name);
            assert!(page.text.starts_with(".ie") || page.text.contains(".TH "), "{}", page.text);
        }
    }

    #[test]
    fn text_of_the_help_stays_text() {
        assert_eq!(
            sections("Examples:\n  a -b \\x\n.so /etc/passwd\n'x\n\nExit codes:\n  0  fine\nlast"),
            ".SH \"EXAMPLES\"\n.nf\n  a \\-b \\ex\n\\&.so /etc/passwd\n\\&'x\n\n.fi\n.SH \"EXIT CODES\"\n.nf\n  0  fine\nlast\n.fi\n"
        );
        assert_eq!(sections("no heading"), "");
    }
}
