//! Pseudonyms: the same for the same text in one recording, and of the same shape where something reads the shape.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sha2::{Digest, Sha256};

use super::vocabulary;
use crate::state::cgroup;
use crate::state::well_known::HELPERS;

/// How many pseudonyms are remembered: to make one of an id takes a hash for each of its digits.
const REMEMBERED: usize = 1 << 16;

/// The shortest part of an id that means it (Docker's short form).
const SHORT_ID: usize = 12;

/// What systemd appends to the names of its units.
const UNITS: [&str; 6] = [".slice", ".scope", ".service", ".mount", ".socket", ".swap"];

/// Gives pseudonyms by a key that nobody keeps: without it, no guess can be tried.
pub struct Words {
    key: [u8; 32],
    known: RefCell<HashMap<String, String>>,
}

impl Words {
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self { key, known: RefCell::default() }
    }

    /// The hash of a text under the key, which goes in before and after so that no hash can be continued.
    fn hash(&self, purpose: u8, text: &[u8]) -> [u8; 32] {
        let inner =
            Sha256::new().chain_update(self.key).chain_update([purpose]).chain_update(text).finalize();
        Sha256::new().chain_update(self.key).chain_update(inner).finalize().into()
    }

    fn remembered(&self, text: &str, make: impl FnOnce() -> String) -> String {
        if let Some(known) = self.known.borrow().get(text) {
            return known.clone();
        }
        let made = make();
        let mut known = self.known.borrow_mut();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(text.to_owned(), made.clone());
        made
    }

    /// A text without any shape: as long as the short form of an id, and never one.
    fn plain(&self, text: &str) -> String {
        let hash = self.hash(0, text.as_bytes());
        let mut word = String::from("x");
        word.extend(hash.iter().take(SHORT_ID / 2).map(|byte| format!("{byte:02x}")));
        word.truncate(SHORT_ID);
        word
    }

    /// Hexadecimal digits, and what stands between them as it is. What two have in common at their beginning, their
    /// pseudonyms have in common too: a runtime takes the beginning of an id for it.
    fn digits(&self, text: &str) -> String {
        let mut before = Vec::with_capacity(text.len());
        text.chars()
            .map(|c| {
                let Some(digit) = c.to_digit(16) else { return c };
                let [pad, ..] = self.hash(1, &before);
                before.push(c as u8);
                char::from_digit(digit ^ u32::from(pad & 0xf), 16).unwrap_or('0')
            })
            .collect()
    }

    /// A name or id of anything: of a container, pod, node, unit or cgroup. Ids, and names that are made of one, keep
    /// their shape.
    pub(super) fn name(&self, text: &str) -> String {
        if text.is_empty() || vocabulary::is_name(text) {
            return text.to_owned();
        }
        self.remembered(text, || self.shaped(text))
    }

    fn shaped(&self, text: &str) -> String {
        if is_part_of_id(text) || is_uuid(text) {
            return self.digits(text);
        }
        let (stem, unit) =
            UNITS.iter().find_map(|unit| Some((text.strip_suffix(unit)?, *unit))).unwrap_or((text, ""));
        if unit.is_empty() || !stem.is_empty() {
            if let Some(shaped) = self.of_runtime(stem, unit) {
                return shaped + unit;
            }
            if vocabulary::is_name(stem) {
                return text.to_owned();
            }
        }
        if unit.is_empty() {
            return self.plain(text);
        }
        self.plain(stem) + unit
    }

    /// Names that runtimes, a kubelet and systemd make of an id (`state::cgroup` reads them).
    fn of_runtime(&self, stem: &str, unit: &str) -> Option<String> {
        // `<slice>:cri-containerd:<id>`.
        if let Some((rest, id)) = stem.rsplit_once(':')
            && let Some((slice, prefix)) = rest.rsplit_once(':')
        {
            let named = is_runtimes(prefix) && is_part_of_id(id) && slice.ends_with(".slice");
            return named.then(|| format!("{}:{prefix}:{}", self.name(slice), self.digits(id)));
        }
        if let Some((prefix, id)) = stem.rsplit_once('-')
            && is_runtimes(prefix)
            && is_part_of_id(id)
        {
            return Some(format!("{prefix}-{}", self.digits(id)));
        }
        // Not by itself: what is above may be of any length, and is hardly ever more than a word.
        let above = |text: &str| match vocabulary::is_name(text) {
            true => text.to_owned(),
            false => self.plain(text),
        };
        if let Some((slice, uid)) = stem.rsplit_once("-pod")
            && !slice.is_empty()
            && (is_uuid(uid) || is_static_uid(uid))
        {
            return Some(format!("{}-pod{}", above(slice), self.digits(uid)));
        }
        if let Some(uid) = stem.strip_prefix("pod")
            && (is_uuid(uid) || is_static_uid(uid))
        {
            return Some(format!("pod{}", self.digits(uid)));
        }
        if let Some((slice, id)) = stem.rsplit_once("libpod_pod_")
            && is_part_of_id(id)
        {
            let slice = match slice.strip_suffix('-') {
                Some(slice) if !slice.is_empty() => above(slice) + "-",
                _ if slice.is_empty() => String::new(),
                _ => self.plain(slice),
            };
            return Some(format!("{slice}libpod_pod_{}", self.digits(id)));
        }
        // `user-1000.slice`, `user@1000.service`: uids stay.
        let uid = stem.strip_prefix("user-").or_else(|| stem.strip_prefix("user@"))?;
        (!unit.is_empty() && uid.parse::<u32>().is_ok_and(|number| number.to_string() == uid))
            .then(|| stem.to_owned())
    }

    /// The kernel's name for a task. Runtimes' helpers are told by how it begins.
    pub(super) fn comm(&self, text: &str) -> String {
        const TAILS: [&str; 6] = ["shim", "shim-runc-v2", "conmon", "[0:PARENT]", "[1:CHILD]", "[2:INIT]"];
        let helper = HELPERS.iter().find_map(|helper| {
            let rest = text.strip_prefix(helper)?;
            let separator = rest.chars().next().filter(|c| matches!(c, ':' | '-'))?;
            Some((helper, separator, rest.get(1..)?))
        });
        match helper {
            // A longer helper's own name, such as `docker-init`.
            _ if vocabulary::is_name(text) => text.to_owned(),
            Some((_, _, tail)) if TAILS.contains(&tail) => text.to_owned(),
            Some((helper, separator, tail)) => format!("{helper}{separator}{}", self.name(tail)),
            None => self.name(text),
        }
    }

    /// A cgroup's path: every component by itself, so that what is below what stays so.
    pub(super) fn cgroup(&self, path: &str) -> String {
        let mut parent = "";
        let mut components = Vec::new();
        for name in path.split('/') {
            let mut word = self.name(name);
            // Below a namespace of containerd, what may be an id is one, and what may not must not become one.
            let below = cgroup::CONTAINERD_NAMESPACES.contains(&parent);
            if below && cgroup::is_containerd_id(&word) && !cgroup::is_containerd_id(name) {
                word.push_str("--");
            }
            components.push(word);
            if !name.is_empty() {
                parent = name;
            }
        }
        components.join("/")
    }

    /// A whole command as one word.
    pub(super) fn command(&self, command: &[String]) -> String {
        self.plain(&command.join(" "))
    }

    /// A path, or the target of a descriptor.
    pub(super) fn path(&self, path: &str) -> String {
        if path == "…" {
            return path.to_owned();
        }
        if let Some(what) = path.strip_prefix("anon_inode:") {
            let what = if vocabulary::is_anonymous(what) { what.to_owned() } else { self.plain(what) };
            return format!("anon_inode:{what}");
        }
        if let Some((what @ ("pipe" | "socket"), inode)) = path.split_once(':') {
            let number = inode.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            let number = number.filter(|number| is_number(number));
            return match number {
                Some(_) => path.to_owned(),
                // `state` asks for no more than the bracket.
                None if inode.starts_with('[') => format!("{what}:[{}]", self.plain(inode)),
                None => self.plain(path),
            };
        }
        let of_proc = path.starts_with("/proc/");
        let component = |name: &str| {
            if of_proc && is_number(name) {
                return name.to_owned();
            }
            for prefix in ["kubernetes.io~", "netns-"] {
                if let Some(rest) = name.strip_prefix(prefix) {
                    return format!("{prefix}{}", self.name(rest));
                }
            }
            self.name(name)
        };
        path.split('/').map(component).collect::<Vec<_>>().join("/")
    }

    /// An IP address: of the same family, and a wildcard or loopback one stays.
    pub(super) fn address(&self, text: &str) -> String {
        let hash = self.hash(2, text.as_bytes());
        match text.parse::<IpAddr>() {
            Ok(address) if address.is_unspecified() || address.is_loopback() => address.to_string(),
            // 240.0.0.0/4 and 2001:db8::/32 are nobody's.
            Ok(IpAddr::V4(_)) => {
                let [a, b, c, ..] = hash;
                Ipv4Addr::new(240, a, b, c).to_string()
            }
            Ok(IpAddr::V6(_)) => {
                let mut octets = [0; 16];
                octets.copy_from_slice(&hash[..16]);
                octets[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
                Ipv6Addr::from(octets).to_string()
            }
            Err(_) => self.name(text),
        }
    }

    /// A sentence of this program's or of the system's: what is no word of one is replaced.
    pub(super) fn sentence(&self, text: &str) -> String {
        const MARKS: [char; 10] = ['(', ')', ',', '.', ';', ':', '"', '\'', '[', ']'];
        let mut of_runtime = false;
        text.split(' ')
            .map(|token| {
                let core = token.trim_matches(MARKS);
                let Some(start) = token.find(core).filter(|_| !core.is_empty()) else {
                    return token.to_owned();
                };
                let is_version = std::mem::replace(&mut of_runtime, vocabulary::is_runtime(core));
                let word = if vocabulary::is_word(core)
                    || vocabulary::is_runtime(core)
                    || is_number(core)
                    || is_version && is_version_number(core)
                {
                    core.to_owned()
                } else if core.contains('/') {
                    self.path(core)
                } else {
                    self.name(core)
                };
                format!("{}{word}{}", &token[..start], &token[start + core.len()..])
            })
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// A kernel's release: what distributions call theirs stays, what somebody added does not.
    pub(super) fn release(&self, text: &str) -> String {
        const BUILDS: [&str; 24] = [
            "generic",
            "amd64",
            "arm64",
            "x86_64",
            "aarch64",
            "aws",
            "azure",
            "gcp",
            "gke",
            "oracle",
            "kvm",
            "cloud",
            "lowlatency",
            "rt",
            "lts",
            "arch1",
            "default",
            "virt",
            "microsoft",
            "standard",
            "WSL2",
            "linuxkit",
            "deb12",
            "deb13",
        ];
        let is_build = |part: &str| {
            BUILDS.contains(&part)
                || ["el", "fc", "rc", "amzn", "bpo"]
                    .iter()
                    .any(|prefix| part.strip_prefix(prefix).is_some_and(is_number))
        };
        text.split_inclusive(['.', '-', '+', '_'])
            .map(|part| {
                let end = part.len() - usize::from(part.ends_with(['.', '-', '+', '_']));
                let (word, separator) = part.split_at(end);
                // `x86_64` has a separator of its own.
                let stays = word.is_empty() || is_number(word) || is_build(word) || word == "x86";
                if stays { part.to_owned() } else { self.plain(word) + separator }
            })
            .collect()
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// An id, or enough of its beginning to mean it. A date is none, though it is all digits.
fn is_part_of_id(text: &str) -> bool {
    let length = text.len();
    is_hex(text)
        && (matches!(length, 32 | 64)
            || (SHORT_ID..64).contains(&length) && text.bytes().any(|byte| byte.is_ascii_alphabetic()))
}

/// With `-` between its parts, or `_` as systemd wants them.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && ['-', '_'].into_iter().any(|between| {
            let parts: Vec<&str> = text.split(between).collect();
            parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(|part| is_hex(part))
        })
}

fn is_static_uid(text: &str) -> bool {
    text.len() == 32 && is_hex(text)
}

/// The prefixes of runtimes' scopes, and of those that only watch over a container.
fn is_runtimes(prefix: &str) -> bool {
    matches!(
        prefix,
        "docker"
            | "cri-containerd"
            | "nerdctl"
            | "crio"
            | "crio-conmon"
            | "libpod"
            | "libpod-payload"
            | "libpod-conmon"
    )
}

fn is_number(text: &str) -> bool {
    (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `20.10.24`, `v2.1.0`.
fn is_version_number(text: &str) -> bool {
    text.strip_prefix('v').unwrap_or(text).split('.').all(is_number)
}
