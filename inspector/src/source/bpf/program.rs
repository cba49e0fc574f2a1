//! The object, made into what the kernel takes: its maps created, its constants set and frozen, and instructions that
//! refer to both.
//!
//! aya reads the object and relocates it; what [`EbpfLoader`](aya::EbpfLoader) would do besides, reading all of the
//! kernel's types for relocations that our object does not have and for one number, is left out.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::CStr;
use std::mem;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::ptr;
use std::slice;

use aya::maps::MapData;
use aya_obj::generated::{BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE, bpf_insn};
use aya_obj::{EbpfSectionKind, Object};
use inspector_common::{EventSettings, Layout};

use super::error::{BpfError, classify};
use super::syscall;

/// Where `aya-log-ebpf` writes to.
const LOG: &str = "AYA_LOGS";

/// What of the object is wanted, and how.
pub struct Wanted<'a> {
    /// Programs, by their names. Of the maps only those are made that these use.
    pub programs: &'a [&'static str],
    pub layout: &'a Layout,
    /// For event programs.
    pub events: Option<&'a EventSettings>,
    /// Maps that are to have so many entries (a ring buffer: bytes).
    pub entries: &'a [(&'static str, u32)],
    /// The kernel side is to say what it has to say.
    pub logged: bool,
}

/// The object with its maps in the kernel, and its programs ready to follow.
pub struct Programs {
    object: Object,
    /// They live as long as the programs, once those are loaded, and until then as long as this.
    maps: HashMap<String, MapData>,
}

impl Programs {
    pub fn new(object: &[u8], wanted: &Wanted<'_>) -> Result<Self, BpfError> {
        let mut object = Object::parse(object).map_err(|error| classify(&error))?;
        let mut constants = HashMap::from([("LAYOUT", (bytes(wanted.layout), true))]);
        if let Some(settings) = wanted.events {
            constants.insert("EVENT_SETTINGS", (settings_bytes(settings), true));
        }
        if !wanted.logged {
            constants.insert(aya_log::LEVEL, (&[0_u8], false));
        }
        object.patch_map_data(constants).map_err(|error| classify(&error))?;
        let definitions: Vec<_> = mem::take(&mut object.maps).into_iter().collect();
        let sections = object.functions.keys().map(|(section, _)| *section).collect();
        // A program uses what its functions do, and those are known when calls are followed; but references to maps
        // have to be resolved before. So first each map is told by a number of our own.
        let placed = (0..).zip(&definitions).map(|(number, (name, it))| (name.as_str(), number, it));
        object.relocate_maps(placed, &sections).map_err(|error| classify(&error))?;
        object.relocate_calls(&sections).map_err(|error| classify(&error))?;

        let mut programs = Self { object, maps: HashMap::new() };
        for name in wanted.programs {
            programs.make_maps(name, definitions.as_slice(), wanted.entries)?;
        }
        Ok(programs)
    }

    /// Makes those maps of a program that are not made yet, and has it refer to them.
    fn make_maps(
        &mut self,
        program: &str,
        definitions: &[(String, aya_obj::Map)],
        entries: &[(&'static str, u32)],
    ) -> Result<(), BpfError> {
        let missing = || BpfError::Load(format!("the object has no program {program}"));
        let key = self.object.programs.get(program).ok_or_else(missing)?.function_key();
        let function = self.object.functions.get_mut(&key).ok_or_else(missing)?;
        for instruction in function.instructions.iter_mut().filter(|it| refers_to_map(it)) {
            let number = usize::try_from(instruction.imm).unwrap_or(usize::MAX);
            let unknown = || BpfError::Load(format!("{program} refers to a map that is not there"));
            let (name, definition) = definitions.get(number).ok_or_else(unknown)?;
            let map = match self.maps.entry(name.clone()) {
                Entry::Occupied(made) => made.into_mut(),
                Entry::Vacant(place) => {
                    let mut definition = definition.clone();
                    if let Some((_, number)) = entries.iter().find(|(of, _)| of == name) {
                        definition.set_max_entries(*number);
                    }
                    place.insert(create(name, &definition)?)
                }
            };
            instruction.imm = map.fd().as_fd().as_raw_fd();
        }
        Ok(())
    }

    /// A program's instructions and its licence.
    pub fn find(&self, name: &str) -> Option<(&[bpf_insn], &CStr)> {
        let program = self.object.programs.get(name)?;
        let function = self.object.functions.get(&program.function_key())?;
        Some((&function.instructions, &program.license))
    }

    /// One of the maps, for user space to use.
    pub fn take_map(&mut self, name: &str) -> Result<MapData, BpfError> {
        self.maps.remove(name).ok_or_else(|| BpfError::Load(format!("no program uses the map {name}")))
    }

    /// The ring buffer that the kernel side logs to.
    pub fn into_log(mut self) -> Option<MapData> {
        self.maps.remove(LOG)
    }
}

/// Whether an instruction loads the address of a map, or of what is in it.
fn refers_to_map(instruction: &bpf_insn) -> bool {
    /// The opcode of loading 64 bits (`BPF_LD | BPF_IMM | BPF_DW`).
    const LOAD: u8 = 0x18;
    instruction.code == LOAD
        && [BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE].contains(&u32::from(instruction.src_reg()))
}

fn create(name: &str, definition: &aya_obj::Map) -> Result<MapData, BpfError> {
    let map = MapData::create(definition.clone(), name, None).map_err(|error| classify(&error))?;
    let fd = map.fd().as_fd();
    if !definition.data().is_empty() {
        syscall::fill(fd, definition).map_err(|error| classify(&error))?;
    }
    if definition.section_kind() == EbpfSectionKind::Rodata {
        syscall::freeze(fd).map_err(|error| classify(&error))?;
    }
    Ok(map)
}

fn bytes(layout: &Layout) -> &[u8] {
    // SAFETY: nothing but `u32`s, without padding (asserted where it is defined).
    unsafe { slice::from_raw_parts(ptr::from_ref(layout).cast(), size_of::<Layout>()) }
}

fn settings_bytes(settings: &EventSettings) -> &[u8] {
    // SAFETY: as above.
    unsafe { slice::from_raw_parts(ptr::from_ref(settings).cast(), size_of::<EventSettings>()) }
}
