//! The configuration file: what flags would say, for those who say it every time. A flag comes before it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::args::{AuditArgs, Global, Holders, Source, parse_socket, parse_timeout};
use super::audit::read;
use super::failure::Failure;
use crate::observation::Runtime;
use crate::view::Severity;

/// Read where no other is named, if it is there.
const USUAL: &str = "/etc/inspector/config.yaml";

/// Far longer than anybody's.
const MAX_BYTES: u64 = 1 << 20;

/// What the file can say.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// `--source`: `auto`, `bpf` or `procfs`.
    #[serde(deserialize_with = "word")]
    #[schemars(with = "Option<String>", extend("enum" = ["auto", "bpf", "procfs", null]))]
    pub source: Option<Source>,
    /// `--host-root`.
    pub host_root: Option<PathBuf>,
    /// `--socket`, by runtime: `docker: [/run/docker.sock]`.
    pub sockets: BTreeMap<String, Vec<String>>,
    /// `--timeout`, such as `30s`.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "Option<String>")]
    pub timeout: Option<Duration>,
    /// `--holders`: `host` or `all`.
    #[serde(deserialize_with = "word")]
    #[schemars(with = "Option<String>", extend("enum" = ["host", "all", null]))]
    pub holders: Option<Holders>,
    /// `--strict`.
    pub strict: bool,
    /// What `inspector audit` is told.
    pub audit: AuditConfig,
}

/// What it can say of an audit.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct AuditConfig {
    /// `--fail-on`: `critical`, `high`, `medium`, `low` or `info`.
    #[serde(deserialize_with = "word")]
    #[schemars(with = "Option<String>", extend("enum" = ["critical", "high", "medium", "low", "info", null]))]
    pub fail_on: Option<Severity>,
    /// `--min-severity`, likewise.
    #[serde(deserialize_with = "word")]
    #[schemars(with = "Option<String>", extend("enum" = ["critical", "high", "medium", "low", "info", null]))]
    pub min_severity: Option<Severity>,
    /// `--rule`, by id or name.
    pub rules: Vec<String>,
    /// `-n`.
    pub namespace: Option<String>,
    /// `--waivers`.
    pub waivers: Option<PathBuf>,
    /// `--baseline`.
    pub baseline: Option<PathBuf>,
    /// `--manifests`.
    pub manifests: Option<PathBuf>,
    /// `--no-suppressions`.
    pub no_suppressions: bool,
}

impl Config {
    /// Reads the file that is named, or the usual one if it is there.
    ///
    /// # Errors
    /// If it cannot be read or says what it cannot say, with line and column.
    pub fn load(named: Option<&Path>) -> Result<Self, Failure> {
        let path = match named {
            Some(path) => path,
            None if Path::new(USUAL).exists() => Path::new(USUAL),
            None => return Ok(Self::default()),
        };
        let config = Self::parse(&read(path, MAX_BYTES)?).map_err(|error| {
            Failure::usage(format!(
                "{} is no configuration: {error}; correct it (`inspector schema config` says what may stand there)",
                path.display()
            ))
        })?;
        Ok(config)
    }

    fn parse(text: &str) -> Result<Self, String> {
        // A file of nothing but comments says nothing.
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Self::default());
        }
        // The first line says it; what follows is a picture of the place.
        let one_line = |error: String| error.lines().next().unwrap_or_default().to_owned();
        let config: Self = serde_saphyr::from_str(text).map_err(|error| one_line(error.to_string()))?;
        config.named_sockets()?;
        Ok(config)
    }

    fn named_sockets(&self) -> Result<Vec<(Runtime, PathBuf)>, String> {
        let pairs = self.sockets.iter().flat_map(|(name, paths)| paths.iter().map(move |path| (name, path)));
        pairs
            .map(|(name, path)| {
                parse_socket(&format!("{name}={path}")).map_err(|why| format!("sockets: {why}"))
            })
            .collect()
    }

    /// What flags say, with what they leave open from the file.
    #[must_use]
    pub fn fill(&self, flags: &Global) -> Global {
        let sockets = if flags.sockets.is_empty() {
            // Parsed once already, when the file was read.
            self.named_sockets().unwrap_or_default()
        } else {
            flags.sockets.clone()
        };
        Global {
            source: flags.source.or(self.source),
            host_root: flags.host_root.clone().or_else(|| self.host_root.clone()),
            sockets,
            timeout: flags.timeout.or(self.timeout),
            holders: flags.holders.or(self.holders),
            strict: flags.strict || self.strict,
            ..flags.clone()
        }
    }

    /// The same for an audit.
    #[must_use]
    pub fn fill_audit(&self, flags: &AuditArgs) -> AuditArgs {
        let file = &self.audit;
        let rules = if flags.rules.is_empty() { file.rules.clone() } else { flags.rules.clone() };
        // A recording to compare with takes the baseline's place.
        let baseline =
            flags.baseline.clone().or_else(|| file.baseline.clone()).filter(|_| flags.diff.is_none());
        AuditArgs {
            fail_on: flags.fail_on.or(file.fail_on),
            min_severity: flags.min_severity.or(file.min_severity),
            rules,
            namespace: flags.namespace.clone().or_else(|| file.namespace.clone()),
            waivers: flags.waivers.clone().or_else(|| file.waivers.clone()),
            baseline,
            manifests: flags.manifests.clone().or_else(|| file.manifests.clone()),
            no_suppressions: flags.no_suppressions || file.no_suppressions,
            ..flags.clone()
        }
    }
}

/// One of the words that a flag takes.
fn word<'de, D: Deserializer<'de>, T: ValueEnum>(deserializer: D) -> Result<Option<T>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    T::from_str(&text, false).map(Some).map_err(|_| {
        let words = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let words: Vec<String> = words.map(|it| it.get_name().to_owned()).collect();
        D::Error::custom(format!("{text:?} is none of {}", words.join(", ")))
    })
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| parse_timeout(&text).map_err(D::Error::custom)).transpose()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::{Cli, Command};

    const FILE: &str = "source: procfs\ntimeout: 5s\nsockets:\n  docker: [/run/d.sock]\nstrict: true\n\
                        audit:\n  failOn: medium\n  rules: [PNS001]\n  baseline: b.json\n";

    fn flags(line: &str) -> (Global, AuditArgs) {
        let cli = Cli::try_parse_from(std::iter::once("inspector").chain(line.split_whitespace())).unwrap();
        let Command::Audit(with) = cli.command else { panic!("{line}") };
        (with.global, with.args)
    }

    #[test]
    fn a_flag_comes_before_the_file_and_the_file_before_the_default() {
        let config = Config::parse(FILE).unwrap();
        let (global, audit) = flags("audit");
        let filled = config.fill(&global);
        assert_eq!((filled.source, filled.timeout), (Some(Source::Procfs), Some(Duration::from_secs(5))));
        assert_eq!(filled.sockets, [(Runtime::Docker, PathBuf::from("/run/d.sock"))]);
        assert!(filled.strict && filled.holders.is_none());
        let filled = config.fill_audit(&audit);
        assert_eq!((filled.fail_on, filled.rules), (Some(Severity::Medium), vec!["PNS001".to_owned()]));
        assert_eq!(filled.baseline, Some(PathBuf::from("b.json")));

        let (global, audit) =
            flags("audit --source bpf --timeout 1s --socket podman=/p --fail-on low --rule PNS002 --diff d");
        let filled = config.fill(&global);
        assert_eq!((filled.source, filled.timeout), (Some(Source::Bpf), Some(Duration::from_secs(1))));
        assert_eq!(filled.sockets, [(Runtime::Podman, PathBuf::from("/p"))]);
        let filled = config.fill_audit(&audit);
        assert_eq!((filled.fail_on, filled.rules), (Some(Severity::Low), vec!["PNS002".to_owned()]));
        assert_eq!(filled.baseline, None);
        assert_eq!(Config::parse("# nothing\n\n"), Ok(Config::default()));
    }

    #[test]
    fn what_cannot_be_said_is_refused_in_one_line_that_says_where() {
        for (text, words) in [
            ("sourc: bpf\n", "line 1"),
            ("strict: false\nsource: ebpf\n", "line 2"),
            ("timeout: soon\n", "line 1 column 10"),
            ("audit:\n  failOn: terrible\n", "line 2"),
            ("audit: [\n", "line"),
            ("sockets:\n  dokcer: [/x]\n", "dokcer"),
            ("sockets:\n  docker: [x]\n", "absolute"),
            ("strict: perhaps\n", "line 1"),
        ] {
            let error = Config::parse(text).unwrap_err();
            assert!(error.contains(words) && error.lines().count() == 1, "{text:?}: {error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.yaml");
        let missing = Config::load(Some(&path)).unwrap_err();
        assert!(missing.code == 2 && missing.to_string().contains("c.yaml"), "{missing}");
        std::fs::write(&path, "x".repeat(2 << 20)).unwrap();
        assert!(Config::load(Some(&path)).unwrap_err().to_string().contains("longer than 1 MiB"));
    }
}
