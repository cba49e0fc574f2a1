//! The object, made into what the kernel takes: its maps created, its constants set and frozen, and instructions that
//! refer to both.
//!
//! aya reads the object and relocates it; what [`EbpfLoader`](aya::EbpfLoader) would do besides, reading all of the
//! kernel's types for relocations that our object does not have and for one number, is left out.

use std::collections::HashMap;
use std::ffi::CStr;
use std::mem;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::ptr;
use std::slice;

use aya::maps::MapData;
use aya_obj::generated::bpf_insn;
use aya_obj::{EbpfSectionKind, Object};
use inspector_common::Layout;

use super::error::{BpfError, classify};
use super::syscall;

/// Where `aya-log-ebpf` writes to.
const LOG: &str = "AYA_LOGS";

/// The object with its maps in the kernel, and its programs ready to follow.
pub struct Programs {
    object: Object,
    /// They live as long as the programs, once those are loaded, and until then as long as this.
    maps: HashMap<String, MapData>,
}

impl Programs {
    /// `logged`: the kernel side is to say what it has to say.
    pub fn new(object: &[u8], layout: &Layout, logged: bool) -> Result<Self, BpfError> {
        let mut object = Object::parse(object).map_err(|error| classify(&error))?;
        let mut constants = HashMap::from([("LAYOUT", (bytes(layout), true))]);
        if !logged {
            constants.insert(aya_log::LEVEL, (&[0_u8], false));
        }
        object.patch_map_data(constants).map_err(|error| classify(&error))?;

        let definitions = mem::take(&mut object.maps);
        let mut maps = HashMap::with_capacity(definitions.len());
        for (name, definition) in &definitions {
            maps.insert(name.clone(), create(name, definition)?);
        }
        let placed = definitions.iter().filter_map(|(name, definition)| {
            Some((name.as_str(), maps.get(name)?.fd().as_fd().as_raw_fd(), definition))
        });
        let sections = object.functions.keys().map(|(section, _)| *section).collect();
        object.relocate_maps(placed, &sections).map_err(|error| classify(&error))?;
        object.relocate_calls(&sections).map_err(|error| classify(&error))?;
        Ok(Self { object, maps })
    }

    /// A program's instructions and its licence.
    pub fn find(&self, name: &str) -> Option<(&[bpf_insn], &CStr)> {
        let program = self.object.programs.get(name)?;
        let function = self.object.functions.get(&program.function_key())?;
        Some((&function.instructions, &program.license))
    }

    /// The ring buffer that the kernel side logs to.
    pub fn into_log(mut self) -> Option<MapData> {
        self.maps.remove(LOG)
    }
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
