//! Completions and manual pages, by the programs that read them.

use std::process::{Command, Stdio};

use crate::support::run::{Run, inspector, run};

/// What bash offers for a line whose last word is being typed.
fn bash(script: &str, words: &[&str]) -> Vec<String> {
    let program = format!(
        "source {script} || exit 9\n\
         complete -p inspector > /dev/null || exit 8\n\
         COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMP_LINE=\"$*\"; COMP_POINT=${{#COMP_LINE}}\n\
         _inspector inspector \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let done = run(Command::new("bash").args(["--norc", "-c", &program, "bash", "inspector"]).args(words));
    done.succeeded().text().lines().map(str::to_owned).collect()
}

fn written(shell: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("inspector.{shell}"));
    std::fs::write(&path, inspector(["completions", shell]).succeeded().stdout).unwrap();
    let path = path.display().to_string();
    (folder, path)
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let (_folder, script) = written("bash");
    assert_eq!(bash(&script, &["po"]), ["pods"]);
    assert_eq!(bash(&script, &["comp"]), ["completions"]);
    assert_eq!(bash(&script, &["pods", "--output", ""]), ["table", "wide", "json", "yaml", "name"]);
    assert_eq!(bash(&script, &["--output", "j"]), ["json"]);
    assert_eq!(bash(&script, &["pods", "--verdict", "app"]), ["application-owned"]);
    assert_eq!(bash(&script, &["pods", "--host-r"]), ["--host-root"]);
    assert_eq!(bash(&script, &["ps", "--repl"]), ["--replay"]);
    assert_eq!(bash(&script, &["completions", "z"]), ["zsh"]);
    // Each flag is offered once, though it may stand before or after the command.
    let mut flags = bash(&script, &["pods", "--"]);
    let offered = flags.len();
    flags.sort();
    flags.dedup();
    assert_eq!(flags.len(), offered, "{flags:?}");
}

#[test]
fn every_shells_script_is_sound() {
    for (shell, check, word) in [
        ("bash", &["bash", "-n"][..], "complete -F _inspector"),
        ("zsh", &["zsh", "-n"], "#compdef inspector"),
        ("fish", &["fish", "--no-execute"], "complete -c inspector"),
        ("elvish", &["elvish", "-compileonly"], "edit:completion:arg-completer[inspector]"),
        ("powershell", &[], "Register-ArgumentCompleter -Native -CommandName 'inspector'"),
    ] {
        let (_folder, script) = written(shell);
        let text = std::fs::read_to_string(&script).unwrap();
        for word in [word, "pods", "host-root"] {
            assert!(text.contains(word), "no {word} in the script for {shell}");
        }
        // The shell itself, where it is installed; bash always is.
        let [program, arguments @ ..] = check else { continue };
        let missing = Command::new(program).arg("--version").stdout(Stdio::null()).status().is_err();
        assert!(!missing || shell != "bash", "bash is not installed");
        if !missing {
            run(Command::new(program).args(arguments).arg(&script)).succeeded();
        }
    }
    inspector(["completions", "bash", "--all"]).refused(2);
}

/// Formats a page and fails on any complaint.
fn formatted(page: &[u8]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.1");
    std::fs::write(&path, page).unwrap();
    run(Command::new("groff").args(["-man", "-Tascii", "-ww", "-P-cbou", "-rLL=80n"]).arg(&path)).succeeded()
}

#[test]
fn every_command_has_a_manual_page_that_groff_takes() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    inspector(["man", "--dir", &pages.display().to_string()]).succeeded();
    let help = inspector(["--help"]).succeeded();
    let commands: Vec<&str> = help
        .text()
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !["", "help"].contains(name))
        .collect();
    assert!(commands.len() >= 8, "{commands:?}");
    for command in &commands {
        let page = std::fs::read(pages.join(format!("inspector-{command}.1"))).unwrap();
        assert_eq!(inspector(["man", command]).succeeded().stdout, page, "{command}");
        let text = formatted(&page).text().to_owned();
        assert!(text.contains(&format!("inspector {command}")), "{text}");
        assert!(text.contains("SEE ALSO") && !text.contains("--host-root"), "{text}");
    }
    assert_eq!(std::fs::read_dir(&pages).unwrap().count(), commands.len() + 1, "{commands:?}");
    let own = inspector(["man"]).succeeded();
    assert_eq!(own.stdout, std::fs::read(pages.join("inspector.1")).unwrap());
    let text = formatted(&own.stdout).text().to_owned();
    for word in ["--host-root", "--output", "EXIT CODES", "inspector-pods(1)", "SYNOPSIS"] {
        assert!(text.contains(word), "no {word} in\n{text}");
    }
    assert_eq!(text.matches("--replay <FILE>").count(), 1, "{text}");
    inspector(["man", "nothing"]).refused(2);
    inspector(["man", "--dir", "/proc/nowhere"]).refused(3);
}
