//! A reader of BTF, the kernel's description of its own types: as much as it takes to find the offset of a field
//! or the id of a function.
//!
//! It believes nothing of what it reads: any bytes give an answer or an error, never a panic or an endless walk. It
//! does not know which fields are wanted (`offsets` does).

use thiserror::Error;

/// What is wrong with a BTF blob.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BtfError {
    /// It is none, or of the other byte order, or of a later version.
    #[error("not BTF of version 1 in this machine's byte order")]
    NotBtf,
    /// It ends too early, or points outside of itself.
    #[error("BTF is cut short or damaged ({0})")]
    Damaged(&'static str),
    /// A sort of type that this reader cannot skip.
    #[error("BTF has a type of unknown kind {0}: this kernel is newer than the inspector")]
    UnknownKind(u32),
}

const MAGIC: u16 = 0xeb9f;
/// Types nest and refer to one another; nothing real goes deeper.
const DEPTH: u32 = 32;

mod kind {
    pub const INT: u32 = 1;
    pub const PTR: u32 = 2;
    pub const ARRAY: u32 = 3;
    pub const STRUCT: u32 = 4;
    pub const UNION: u32 = 5;
    pub const ENUM: u32 = 6;
    pub const FWD: u32 = 7;
    pub const TYPEDEF: u32 = 8;
    pub const VOLATILE: u32 = 9;
    pub const CONST: u32 = 10;
    pub const RESTRICT: u32 = 11;
    pub const FUNC: u32 = 12;
    pub const FUNC_PROTO: u32 = 13;
    pub const VAR: u32 = 14;
    pub const DATASEC: u32 = 15;
    pub const FLOAT: u32 = 16;
    pub const DECL_TAG: u32 = 17;
    pub const TYPE_TAG: u32 = 18;
    pub const ENUM64: u32 = 19;
}

/// A parsed blob.
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where in `types` each type begins, by id less 1 (id 0 is `void`).
    starts: Vec<u32>,
    /// The named structures and enumerations.
    named: Vec<Type>,
}

/// The common head of every type.
#[derive(Clone, Copy)]
struct Type {
    name: u32,
    info: u32,
    /// Its size, or the type that it refers to.
    size_or_type: u32,
    /// Where in `types` the rest of it begins.
    rest: usize,
}

impl Type {
    const fn kind(self) -> u32 {
        (self.info >> 24) & 0x1f
    }

    const fn members(self) -> usize {
        (self.info & 0xffff) as usize
    }

    /// In a structure: whether its members' offsets carry the width of bit fields.
    const fn flag(self) -> bool {
        self.info >> 31 == 1
    }
}

/// Where a field is, from the start of the structure that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// In bytes.
    pub offset: u32,
    /// In bytes; 0 where it has none (a flexible array).
    pub size: u32,
}

/// A tracepoint, as the kernel's types have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracepoint {
    /// The id of its type.
    pub id: u32,
    /// How many arguments programs are given.
    pub arguments: usize,
}

impl<'a> Btf<'a> {
    /// Reads the index of all types.
    pub fn parse(blob: &'a [u8]) -> Result<Self, BtfError> {
        let header = u32_at(blob, 0).ok_or(BtfError::NotBtf)?.to_ne_bytes();
        if [header[0], header[1]] != MAGIC.to_ne_bytes() || header[2] != 1 {
            return Err(BtfError::NotBtf);
        }
        let field = |at| u32_at(blob, at).map(|value| value as usize).ok_or(BtfError::Damaged("header"));
        let header_length = field(4)?;
        let section = |offset: usize, length: usize| {
            let start = header_length.checked_add(offset)?;
            blob.get(start..start.checked_add(length)?)
        };
        let types = section(field(8)?, field(12)?).ok_or(BtfError::Damaged("types"))?;
        let strings = section(field(16)?, field(20)?).ok_or(BtfError::Damaged("strings"))?;

        let (mut starts, mut named, mut at) = (Vec::with_capacity(types.len() / 24), Vec::new(), 0);
        while at < types.len() {
            let start = u32::try_from(at).map_err(|_| BtfError::Damaged("size"))?;
            let found = type_at(types, at).ok_or(BtfError::Damaged("types"))?;
            starts.push(start);
            if found.name != 0 && matches!(found.kind(), kind::STRUCT | kind::ENUM) {
                named.push(found);
            }
            at = found.rest + rest_length(found)?;
        }
        Ok(Self { types, strings, starts, named })
    }

    /// A field by its path (`ns.inum`) in a structure, through anonymous structures and unions; `None` if either
    /// is not there, or the field is one of bits.
    #[must_use]
    pub fn field(&self, structure: &str, path: &str) -> Option<Field> {
        self.named(structure, kind::STRUCT).find_map(|found| self.path(found, path))
    }

    /// The size of a structure in bytes.
    #[must_use]
    pub fn size(&self, structure: &str) -> Option<u32> {
        self.named(structure, kind::STRUCT).map(|found| found.size_or_type).next()
    }

    /// The value of an enumerator.
    #[must_use]
    pub fn enumerator(&self, enumeration: &str, name: &str) -> Option<u32> {
        self.named(enumeration, kind::ENUM).find_map(|found| {
            (0..found.members()).map(|index| found.rest + 8 * index).find_map(|at| {
                self.is_named(u32_at(self.types, at)?, name).then(|| u32_at(self.types, at + 4))?
            })
        })
    }

    /// The id of a function.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<u32> {
        self.id(kind::FUNC, |found| self.is_named(found, name))
    }

    /// What programs on a tracepoint are attached to.
    #[must_use]
    pub fn tracepoint(&self, name: &str) -> Option<Tracepoint> {
        const PREFIX: &str = "btf_trace_";
        let id = self.id(kind::TYPEDEF, |found| {
            self.string(found).and_then(|found| found.strip_prefix(PREFIX.as_bytes()))
                == Some(name.as_bytes())
        })?;
        // Of a pointer to a function, the first parameter of which is for the kernel itself.
        let pointer = self.by_id(self.by_id(id)?.size_or_type)?;
        let function = self.by_id(pointer.size_or_type)?;
        if pointer.kind() != kind::PTR || function.kind() != kind::FUNC_PROTO {
            return None;
        }
        Some(Tracepoint { id, arguments: function.members().checked_sub(1)? })
    }

    /// The id of the first type of this kind that has such a name.
    fn id(&self, kind: u32, is_wanted: impl Fn(u32) -> bool) -> Option<u32> {
        let index = self.starts.iter().position(|start| {
            type_at(self.types, *start as usize)
                .is_some_and(|found| found.kind() == kind && is_wanted(found.name))
        })?;
        u32::try_from(index + 1).ok()
    }

    /// The types of this name and kind. There may be several, of which some lack what others have.
    fn named<'b>(&'b self, name: &'b str, kind: u32) -> impl Iterator<Item = Type> + 'b {
        self.named
            .iter()
            .copied()
            .filter(move |found| found.kind() == kind && self.is_named(found.name, name))
    }

    fn path(&self, structure: Type, path: &str) -> Option<Field> {
        let (mut within, mut offset) = (structure, 0_u32);
        let mut names = path.split('.').peekable();
        while let Some(name) = names.next() {
            let (at, type_id) = self.member(within, name, DEPTH)?;
            offset = offset.checked_add(at)?;
            if names.peek().is_none() {
                return Some(Field { offset, size: self.size_of(type_id)? });
            }
            within = self.resolve(type_id)?;
        }
        None
    }

    /// Offset in bytes and type of a member.
    fn member(&self, within: Type, name: &str, depth: u32) -> Option<(u32, u32)> {
        if depth == 0 || !matches!(within.kind(), kind::STRUCT | kind::UNION) {
            return None;
        }
        (0..within.members()).map(|index| within.rest + 12 * index).find_map(|at| {
            let (member, type_id) = (u32_at(self.types, at)?, u32_at(self.types, at + 4)?);
            let position = u32_at(self.types, at + 8)?;
            // With the flag: 8 bits of width of a bit field, 24 bits of offset in bits.
            let (width, bits) =
                if within.flag() { (position >> 24, position & 0x00ff_ffff) } else { (0, position) };
            let wanted = self.is_named(member, name);
            if !wanted && member != 0 {
                return None;
            }
            if width != 0 || bits % 8 != 0 {
                return None;
            }
            if wanted {
                return Some((bits / 8, type_id));
            }
            let (inner, type_id) = self.member(self.resolve(type_id)?, name, depth - 1)?;
            Some((inner.checked_add(bits / 8)?, type_id))
        })
    }

    /// A type without its names and qualifiers.
    fn resolve(&self, mut type_id: u32) -> Option<Type> {
        for _ in 0..DEPTH {
            let found = self.by_id(type_id)?;
            match found.kind() {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    type_id = found.size_or_type;
                }
                _ => return Some(found),
            }
        }
        None
    }

    fn size_of(&self, mut type_id: u32) -> Option<u32> {
        let mut count = 1_u32;
        for _ in 0..DEPTH {
            let found = self.resolve(type_id)?;
            match found.kind() {
                kind::PTR => return count.checked_mul(8),
                kind::INT | kind::STRUCT | kind::UNION | kind::ENUM | kind::ENUM64 | kind::FLOAT => {
                    return count.checked_mul(found.size_or_type);
                }
                kind::ARRAY => {
                    type_id = u32_at(self.types, found.rest)?;
                    count = count.checked_mul(u32_at(self.types, found.rest + 8)?)?;
                }
                _ => return None,
            }
        }
        None
    }

    fn by_id(&self, type_id: u32) -> Option<Type> {
        let start = *self.starts.get((type_id as usize).checked_sub(1)?)?;
        type_at(self.types, start as usize)
    }

    fn string(&self, at: u32) -> Option<&[u8]> {
        self.strings.get(at as usize..)?.split(|byte| *byte == 0).next()
    }

    fn is_named(&self, at: u32, name: &str) -> bool {
        let found = self.strings.get(at as usize..).unwrap_or_default();
        !name.is_empty() && found.starts_with(name.as_bytes()) && found.get(name.len()) == Some(&0)
    }
}

fn type_at(types: &[u8], at: usize) -> Option<Type> {
    Some(Type {
        name: u32_at(types, at)?,
        info: u32_at(types, at + 4)?,
        size_or_type: u32_at(types, at + 8)?,
        rest: at + 12,
    })
}

/// How much follows the common head.
const fn rest_length(found: Type) -> Result<usize, BtfError> {
    Ok(match found.kind() {
        kind::PTR | kind::FWD | kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT => 0,
        kind::FUNC | kind::FLOAT | kind::TYPE_TAG => 0,
        kind::INT | kind::VAR | kind::DECL_TAG => 4,
        kind::ARRAY => 12,
        kind::ENUM | kind::FUNC_PROTO => 8 * found.members(),
        kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => 12 * found.members(),
        unknown => return Err(BtfError::UnknownKind(unknown)),
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds BTF by hand.
    #[derive(Default)]
    struct Builder {
        types: Vec<u8>,
        strings: Vec<u8>,
    }

    impl Builder {
        fn new() -> Self {
            Self { types: Vec::new(), strings: vec![0] }
        }

        fn text(&mut self, name: &str) -> u32 {
            if name.is_empty() {
                return 0;
            }
            let at = u32::try_from(self.strings.len()).unwrap();
            self.strings.extend_from_slice(name.as_bytes());
            self.strings.push(0);
            at
        }

        fn push(&mut self, name: &str, kind: u32, flag: bool, size_or_type: u32, vlen: u32, rest: &[u32]) {
            let head = [self.text(name), u32::from(flag) << 31 | kind << 24 | vlen, size_or_type];
            for word in head.iter().chain(rest) {
                self.types.extend_from_slice(&word.to_ne_bytes());
            }
        }

        fn structure(&mut self, name: &str, kind: u32, flag: bool, members: &[(&str, u32, u32)]) {
            let rest: Vec<u32> = members
                .iter()
                .flat_map(|(name, type_id, position)| [self.text(name), *type_id, *position])
                .collect();
            self.push(name, kind, flag, 64, u32::try_from(members.len()).unwrap(), &rest);
        }

        fn finish(self) -> Vec<u8> {
            let words = [24, 0, self.types.len(), self.types.len(), self.strings.len()];
            let mut blob = MAGIC.to_ne_bytes().to_vec();
            blob.extend_from_slice(&[1, 0]);
            for word in words {
                blob.extend_from_slice(&u32::try_from(word).unwrap().to_ne_bytes());
            }
            blob.extend_from_slice(&self.types);
            blob.extend_from_slice(&self.strings);
            blob
        }
    }

    fn sample() -> Vec<u8> {
        let mut b = Builder::new();
        b.push("int", kind::INT, false, 4, 0, &[32]); // 1
        b.push("", kind::PTR, false, 1, 0, &[]); // 2
        b.push("", kind::ARRAY, false, 0, 0, &[2, 1, 12]); // 3: twelve pointers
        b.structure("ns_common", kind::STRUCT, false, &[("ops", 2, 0), ("inum", 1, 64)]); // 4
        b.push("ns_t", kind::TYPEDEF, false, 4, 0, &[]); // 5
        b.push("", kind::CONST, false, 5, 0, &[]); // 6
        b.structure("", kind::UNION, false, &[("inside", 1, 0), ("other", 2, 0)]); // 7
        b.structure(
            "task",
            kind::STRUCT,
            true,
            &[
                ("first", 1, 0),
                ("ns", 6, 32),
                ("", 7, 128),
                ("slots", 3, 192),
                ("bit", 1, 1 << 24 | 960),
                ("odd", 1, 963),
                ("forward", 9, 1024),
            ],
        ); // 8
        b.push("gone", kind::FWD, false, 0, 0, &[]); // 9
        let (two, seven) = (b.text("two"), b.text("seven"));
        b.push("ids", kind::ENUM, false, 4, 2, &[two, 2, seven, 7]); // 10
        b.push("loop", kind::TYPEDEF, false, 11, 0, &[]); // 11: of itself
        b.structure("", kind::STRUCT, false, &[("", 12, 0)]); // 12: within itself
        b.structure("endless", kind::STRUCT, false, &[("spin", 11, 0), ("", 12, 0)]); // 13
        b.push("", kind::FUNC_PROTO, false, 0, 1, &[0, 8]); // 14
        b.push("task", kind::FUNC, false, 14, 1, &[]); // 15: of the same name as a structure
        b.push("", kind::PTR, false, 14, 0, &[]); // 16
        b.push("btf_trace_told", kind::TYPEDEF, false, 16, 0, &[]); // 17
        b.push("btf_trace_untold", kind::TYPEDEF, false, 11, 0, &[]); // 18: of no function
        b.finish()
    }

    #[test]
    fn finds_fields_and_refuses_what_has_no_plain_offset() {
        let blob = sample();
        let btf = Btf::parse(&blob).unwrap();
        let field = |path| btf.field("task", path).map(|found| (found.offset, found.size));
        assert_eq!(field("first"), Some((0, 4)));
        assert_eq!(field("ns.inum"), Some((12, 4)), "through const and typedef");
        assert_eq!(field("inside"), Some((16, 4)), "through an anonymous union");
        assert_eq!(field("other"), Some((16, 8)));
        assert_eq!(field("slots"), Some((24, 96)));
        for absent in ["bit", "odd", "forward", "ns.nope", "first.x", "firs", "firsts", "", ".", "ns."] {
            assert_eq!(field(absent), None, "{absent:?}");
        }
        assert_eq!(btf.field("gone", "first"), None);
        assert_eq!(btf.size("task"), Some(64));
        assert_eq!(btf.enumerator("ids", "seven"), Some(7));
        assert_eq!(btf.enumerator("ids", "eight"), None);
        assert_eq!(btf.function("task"), Some(15));
        assert_eq!(btf.function("ids"), None);
        assert_eq!(btf.tracepoint("told"), Some(Tracepoint { id: 17, arguments: 0 }));
        for absent in ["untold", "tol", "toldd", ""] {
            assert_eq!(btf.tracepoint(absent), None, "{absent:?}");
        }
        assert_eq!(btf.field("endless", "spin"), None, "a typedef of itself");
        assert_eq!(btf.field("endless", "nothing"), None, "a structure within itself");
    }

    #[test]
    fn any_bytes_give_an_answer() {
        let blob = sample();
        let ask = |blob: &[u8]| {
            if let Ok(btf) = Btf::parse(blob) {
                let _ = (
                    btf.field("task", "ns.inum"),
                    btf.enumerator("ids", "two"),
                    btf.field("endless", "x"),
                    btf.function("task"),
                    btf.tracepoint("told"),
                );
            }
        };
        for length in 0..blob.len() {
            assert!(Btf::parse(&blob[..length]).is_err(), "cut at {length}");
        }
        for at in 0..blob.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut damaged = blob.clone();
                damaged[at] = value;
                ask(&damaged);
            }
        }
        assert_eq!(Btf::parse(b"\x7fELF and so on").err(), Some(BtfError::NotBtf));
        let mut unknown = Builder::new();
        unknown.push("x", 31, false, 0, 0, &[]);
        assert_eq!(Btf::parse(&unknown.finish()).err(), Some(BtfError::UnknownKind(31)));
    }

    #[test]
    fn reads_the_running_kernels() {
        let blob = std::fs::read("/sys/kernel/btf/vmlinux").expect("this test wants a kernel with BTF");
        let btf = Btf::parse(&blob).unwrap();
        assert!(btf.starts.len() > 10_000);
        assert_eq!(btf.field("task_struct", "comm").unwrap().size, 16);
        assert_eq!(btf.field("upid", "nr"), Some(Field { offset: 0, size: 4 }));
        assert_eq!(btf.tracepoint("sched_process_fork").unwrap().arguments, 2);
    }
}
