//! What whoever deployed a container or pod asks audits to leave out, by a label or annotation.

use serde::{Deserialize, Serialize};

/// The label or annotation that lists rules, by id or name, with commas between them.
pub const IGNORE: &str = "pod-namespace-inspector/ignore";
/// The one that says why.
pub const IGNORE_REASON: &str = "pod-namespace-inspector/ignore-reason";

/// How much of each is kept: enough for every rule by its name, and for a sentence.
const MAX_RULES: usize = 1024;
const MAX_REASON: usize = 256;

/// Such a wish, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ignore {
    /// The rules.
    pub rules: String,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Ignore {
    /// What labels or annotations say, if anything; no other of them is looked at. `get` has the value of one.
    #[must_use]
    pub fn of<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let rules = get(IGNORE)?;
        let cut = |text: &str, length| text.chars().take(length).collect::<String>();
        Some(Self {
            rules: cut(rules, MAX_RULES),
            reason: get(IGNORE_REASON)
                .map(|text| cut(text, MAX_REASON))
                .filter(|text| !text.trim().is_empty()),
        })
    }

    /// The rules, as written.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.split(',').map(str::trim).filter(|name| !name.is_empty())
    }
}

/// The two of a map of labels or annotations in JSON; the others are skipped unread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct IgnoreKeys {
    #[serde(rename = "pod-namespace-inspector/ignore")]
    rules: Option<String>,
    #[serde(rename = "pod-namespace-inspector/ignore-reason")]
    reason: Option<String>,
}

impl IgnoreKeys {
    /// What they say.
    #[must_use]
    pub fn ignore(&self) -> Option<Ignore> {
        Ignore::of(|name| if name == IGNORE { self.rules.as_deref() } else { self.reason.as_deref() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_keys_are_read_and_no_other() {
        let text = r#"{"a": "b", "secret": "x", "pod-namespace-inspector/ignore": " PNS001,,shared-volume ",
                       "pod-namespace-inspector/ignore-reason": " "}"#;
        let keys: IgnoreKeys = serde_json::from_str(text).unwrap();
        assert!(!format!("{keys:?}").contains("secret"));
        let ignore = keys.ignore().unwrap();
        assert_eq!(ignore.names().collect::<Vec<_>>(), ["PNS001", "shared-volume"]);
        assert_eq!(ignore.reason, None);
        let reason_alone = r#"{"pod-namespace-inspector/ignore-reason": "x"}"#;
        assert_eq!(serde_json::from_str::<IgnoreKeys>(reason_alone).unwrap().ignore(), None);
        let long = "é".repeat(5000);
        let ignore = Ignore::of(|_| Some(&long)).unwrap();
        assert_eq!((ignore.rules.chars().count(), ignore.reason.unwrap().chars().count()), (1024, 256));
    }
}
