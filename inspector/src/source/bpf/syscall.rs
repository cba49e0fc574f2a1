//! The few calls of bpf(2) that are made without aya, which offers them only together with a parsed copy of all of
//! the kernel's types: 30 MiB and 40 ms for the number of one.
//!
//! It knows nothing of our object, and judges no error.

use std::ffi::CStr;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use aya::sys::SyscallError;
use aya_obj::generated::{
    bpf_attach_type, bpf_attr, bpf_cmd, bpf_func_info, bpf_insn, bpf_prog_info, bpf_prog_type,
};

type Result<T> = std::result::Result<T, SyscallError>;

/// How a program comes to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// For each that an iterator comes to.
    Iterator,
    /// At a tracepoint, with pointers that the verifier knows the types of.
    Tracepoint,
}

impl Attach {
    const fn kernels(self) -> bpf_attach_type {
        match self {
            Self::Iterator => bpf_attach_type::BPF_TRACE_ITER,
            Self::Tracepoint => bpf_attach_type::BPF_TRACE_RAW_TP,
        }
    }
}

/// A program of type tracing.
#[derive(Clone, Copy)]
pub struct TracingProgram<'a> {
    pub attach: Attach,
    /// Of which the kernel keeps the first 15 bytes.
    pub name: &'a str,
    pub instructions: &'a [bpf_insn],
    pub license: &'a CStr,
    /// The BTF id of the kernel's function that stands for what is iterated over, or of the tracepoint's type.
    pub target: u32,
    /// If it has several.
    pub functions: Option<Functions<'a>>,
}

/// The functions of a program.
#[derive(Clone, Copy)]
pub struct Functions<'a> {
    /// Where their types are.
    pub btf: BorrowedFd<'a>,
    /// Where each begins, and its type.
    pub info: &'a [bpf_func_info],
}

/// Has the kernel verify a program. An empty `log` asks for none; else it ends with what the verifier said last.
pub fn load(program: TracingProgram<'_>, log: &mut [u8]) -> Result<OwnedFd> {
    /// The steps of the last path, and statistics.
    const LOG_LEVEL: u32 = 1 | 4;
    #[expect(clippy::cast_possible_truncation, reason = "two numbers")]
    const FUNC_INFO_BYTES: u32 = size_of::<bpf_func_info>() as u32;
    let mut attributes = zeroed();
    // SAFETY: of a union of plain integers any part may be looked at.
    let load = unsafe { &mut attributes.__bindgen_anon_3 };
    load.prog_type = bpf_prog_type::BPF_PROG_TYPE_TRACING as u32;
    load.expected_attach_type = program.attach.kernels() as u32;
    load.attach_btf_id = program.target;
    load.insns = program.instructions.as_ptr() as u64;
    load.insn_cnt = length_of(program.instructions);
    load.license = program.license.as_ptr() as u64;
    let room = load.prog_name.len() - 1;
    for (to, from) in load.prog_name.iter_mut().zip(program.name.bytes().take(room)) {
        *to = from.cast_signed();
    }
    if let Some(functions) = program.functions {
        load.prog_btf_fd = number(functions.btf);
        load.func_info = functions.info.as_ptr() as u64;
        load.func_info_cnt = length_of(functions.info);
        load.func_info_rec_size = FUNC_INFO_BYTES;
    }
    if !log.is_empty() {
        load.log_level = LOG_LEVEL;
        load.log_size = length_of(log);
        load.log_buf = log.as_mut_ptr() as u64;
    }
    // SAFETY: the addresses are of slices and of a string that outlive the call, with their own lengths.
    unsafe { make("bpf_prog_load", bpf_cmd::BPF_PROG_LOAD, &mut attributes) }
}

/// Gives the kernel types, encoded as BTF.
pub fn load_types(btf: &[u8]) -> Result<OwnedFd> {
    let mut attributes = zeroed();
    // SAFETY: of a union of plain integers any part may be looked at.
    let load = unsafe { &mut attributes.__bindgen_anon_7 };
    load.btf = btf.as_ptr() as u64;
    load.btf_size = length_of(btf);
    // SAFETY: the address is of a slice that outlives the call, with its own length.
    unsafe { make("bpf_btf_load", bpf_cmd::BPF_BTF_LOAD, &mut attributes) }
}

/// Makes a loaded iterator program one that can be read.
pub fn link(program: BorrowedFd<'_>) -> Result<OwnedFd> {
    let mut attributes = zeroed();
    attributes.link_create.__bindgen_anon_1.prog_fd = number(program);
    attributes.link_create.attach_type = bpf_attach_type::BPF_TRACE_ITER as u32;
    // SAFETY: no addresses.
    unsafe { make("bpf_link_create", bpf_cmd::BPF_LINK_CREATE, &mut attributes) }
}

/// Has a loaded program called at its tracepoint, for as long as what this gives is open.
pub fn attach(program: BorrowedFd<'_>) -> Result<OwnedFd> {
    let mut attributes = zeroed();
    attributes.raw_tracepoint.prog_fd = number(program);
    // SAFETY: no addresses: the program knows the tracepoint.
    unsafe { make("bpf_raw_tracepoint_open", bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut attributes) }
}

/// Begins a reading.
pub fn iterate(link: BorrowedFd<'_>) -> Result<OwnedFd> {
    let mut attributes = zeroed();
    attributes.iter_create.link_fd = number(link);
    // SAFETY: no addresses.
    unsafe { make("bpf_iter_create", bpf_cmd::BPF_ITER_CREATE, &mut attributes) }
}

/// What the kernel says of a program; zeros where it is too old to.
pub fn info(program: BorrowedFd<'_>) -> Result<bpf_prog_info> {
    #[expect(clippy::cast_possible_truncation, reason = "a few hundred bytes")]
    const LENGTH: u32 = size_of::<bpf_prog_info>() as u32;
    // SAFETY: plain integers.
    let mut info: bpf_prog_info = unsafe { mem::zeroed() };
    let mut attributes = zeroed();
    attributes.info.bpf_fd = number(program);
    attributes.info.info_len = LENGTH;
    attributes.info.info = (&raw mut info) as u64;
    // SAFETY: `info` outlives the call and has that length; the addresses in it are null, and their lengths 0.
    unsafe { call("bpf_obj_get_info_by_fd", bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attributes) }?;
    Ok(info)
}

/// Sets the first element of a map that was made by this definition to the definition's data.
pub fn fill(map: BorrowedFd<'_>, definition: &aya_obj::Map) -> Result<()> {
    const CALL: &str = "bpf_map_update_elem";
    let (key, value) = (0_u32, definition.data());
    if definition.key_size() as usize != size_of_val(&key) || definition.value_size() as usize != value.len()
    {
        return Err(SyscallError { call: CALL, io_error: io::ErrorKind::InvalidInput.into() });
    }
    let mut attributes = zeroed();
    // SAFETY: of a union of plain integers any part may be looked at.
    let update = unsafe { &mut attributes.__bindgen_anon_2 };
    update.map_fd = number(map);
    update.key = (&raw const key) as u64;
    update.__bindgen_anon_1.value = value.as_ptr() as u64;
    // SAFETY: key and value outlive the call, and have the lengths that the map was made with.
    unsafe { call(CALL, bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attributes) }.map(drop)
}

/// Lets user space write to a map no more: from then on the verifier takes its content for constant.
pub fn freeze(map: BorrowedFd<'_>) -> Result<()> {
    let mut attributes = zeroed();
    attributes.__bindgen_anon_2.map_fd = number(map);
    // SAFETY: no addresses.
    unsafe { call("bpf_map_freeze", bpf_cmd::BPF_MAP_FREEZE, &mut attributes) }.map(drop)
}

fn zeroed() -> bpf_attr {
    // SAFETY: plain integers, and addresses as integers.
    unsafe { mem::zeroed() }
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

/// How many there are, or as many as the kernel can be told of.
fn length_of<T>(slice: &[T]) -> u32 {
    u32::try_from(slice.len()).unwrap_or(u32::MAX)
}

/// A command that makes a descriptor.
///
/// # Safety
///
/// As of [`call`]; and the command makes one.
unsafe fn make(name: &'static str, command: bpf_cmd, attributes: &mut bpf_attr) -> Result<OwnedFd> {
    // SAFETY: the caller's.
    let fd = unsafe { call(name, command, attributes) }?;
    // SAFETY: new, so nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// # Safety
///
/// What the command takes for addresses is valid during the call, in the lengths that it finds beside them.
unsafe fn call(name: &'static str, command: bpf_cmd, attributes: &mut bpf_attr) -> Result<RawFd> {
    let number = libc::c_long::from(command as u32);
    // SAFETY: the attributes have this length, which an older kernel takes as long as it does not know the rest and
    // that is zero; what they point to is the caller's.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, number, std::ptr::from_mut(attributes), size_of::<bpf_attr>())
    };
    let failed = |io_error| SyscallError { call: name, io_error };
    if result < 0 {
        return Err(failed(io::Error::last_os_error()));
    }
    RawFd::try_from(result).map_err(|_| failed(io::ErrorKind::InvalidData.into()))
}
