//! Waivers: findings that somebody accepts, for a reason and until a day.

use jiff::civil::Date;
use serde::Deserialize;

use crate::findings;
use crate::view::{Finding, IdleWaiver, PodName};

/// One waiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// The rule's id; `None` for every rule.
    rule: Option<&'static str>,
    /// As written.
    rule_written: String,
    /// A pattern of a name: `*` stands for anything, `?` for one character.
    subject: String,
    /// Why.
    pub reason: String,
    /// The last day on which it holds.
    pub expires: Option<Date>,
}

/// What is wrong with a file of waivers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WaiverError(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    waivers: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    rule: String,
    subject: String,
    reason: String,
    expires: Option<String>,
}

/// Reads a file of waivers, in YAML.
///
/// # Errors
/// If it is not one, with line and column; or if it names a rule or a day that does not exist.
pub fn parse(text: &str) -> Result<Vec<Waiver>, WaiverError> {
    // The first line says it; what follows is a picture of the place.
    let one_line = |error: String| WaiverError(error.lines().next().unwrap_or_default().to_owned());
    let file: File = serde_saphyr::from_str(text).map_err(|error| one_line(error.to_string()))?;
    file.waivers.into_iter().enumerate().map(|(index, written)| check(index + 1, written)).collect()
}

fn check(number: usize, written: Written) -> Result<Waiver, WaiverError> {
    let wrong = |what: String| WaiverError(format!("waiver {number}: {what}"));
    let rule = match written.rule.as_str() {
        "*" => None,
        name => Some(
            findings::rule(name)
                .ok_or_else(|| wrong(format!("no rule is called {name:?}; `inspector rules` lists them")))?
                .id,
        ),
    };
    if written.subject.trim().is_empty() || written.reason.trim().is_empty() {
        return Err(wrong("subject and reason must say something".to_owned()));
    }
    let expires = written
        .expires
        .map(|day| {
            day.parse::<Date>()
                .map_err(|_| wrong(format!("{day:?} is no day; write `expires` as 2027-01-31")))
        })
        .transpose()?;
    Ok(Waiver { rule, rule_written: written.rule, subject: written.subject, reason: written.reason, expires })
}

impl Waiver {
    /// Whether its last day is over; where the day is not known it is not.
    pub(super) fn is_expired(&self, today: Option<Date>) -> bool {
        matches!((self.expires, today), (Some(expires), Some(today)) if expires < today)
    }

    /// Whether it is for this finding: by the name of the pod (with its namespace too), of the container, of both as
    /// `POD/CONTAINER`, or the finding's id.
    pub(super) fn matches(&self, finding: &Finding, pod: Option<&PodName>, container: Option<&str>) -> bool {
        if self.rule.is_some_and(|rule| rule != finding.rule) {
            return false;
        }
        let mut names: Vec<String> = vec![finding.id.clone()];
        names.extend(container.map(str::to_owned));
        if let Some(pod) = pod {
            names.push(pod.name.clone());
            names.push(pod.to_string());
            names.extend(container.map(|container| format!("{pod}/{container}")));
        }
        names.iter().any(|name| matches_glob(&self.subject, name))
    }

    /// What to say of it if it did nothing.
    pub(super) fn idle(&self, used: bool, today: Option<Date>) -> Option<IdleWaiver> {
        let why = match self.expires {
            Some(expires) if self.is_expired(today) => format!("expired on {expires}"),
            _ if !used => "matches no finding".to_owned(),
            _ => return None,
        };
        Some(IdleWaiver {
            rule: self.rule_written.clone(),
            subject: self.subject.clone(),
            reason: self.reason.clone(),
            why,
        })
    }
}

/// Whether a name is what a pattern says. In time proportional to the product of their lengths at most.
fn matches_glob(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last `*` was, and how much of the name it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match (pattern.get(p), name.get(n)) {
            (Some('*'), _) => {
                star = Some((p, n));
                p += 1;
            }
            (Some('?'), Some(_)) => {
                p += 1;
                n += 1;
            }
            (Some(wanted), Some(found)) if wanted == found => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, name, wanted) in [
            ("nginx", "nginx", true),
            ("nginx", "nginx2", false),
            ("*", "", true),
            ("*", "anything/at all", true),
            ("ng*x", "nginx", true),
            ("ng*x", "ngin", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("?", "", false),
            ("w?b", "wëb", true),
            ("kube-system/*", "kube-system/proxy", true),
            ("", "", true),
        ] {
            assert_eq!(matches_glob(pattern, name), wanted, "{pattern} {name}");
        }
        // Of a pattern that a careless matcher would take for ever for.
        assert!(!matches_glob(&"*a".repeat(200), &"a".repeat(150).replace('a', "b")));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_place() {
        for (text, words) in [
            ("waivers: [", "line"),
            ("waivers:\n- rule: PNS001\n  subject: x\n", "reason"),
            ("waivers:\n- rule: PNS001\n  subject: x\n  reason: y\n  expire: 2027-01-01\n", "expire"),
            ("waivers:\n- rule: PNS099\n  subject: x\n  reason: y\n", "PNS099"),
            ("waivers:\n- rule: PNS001\n  subject: x\n  reason: y\n  expires: soon\n", "soon"),
            ("waivers:\n- rule: PNS001\n  subject: ''\n  reason: y\n", "subject"),
            ("- rule: PNS001\n", ""),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains('\n'), "{text}: {error}");
        }
        let good = "waivers:\n- rule: non-pause-owner\n  subject: 'legacy-*'\n  reason: goes away in May\n  expires: 2027-05-31\n";
        let waivers = parse(good).unwrap();
        assert_eq!((waivers.len(), waivers[0].rule), (1, Some("PNS001")));
    }
}
