//! Types for the functions of a program, for the verifier to look at each by itself.
//!
//! A function that is *global* is verified once, for whatever state it may be called in, if BTF says what it takes and
//! gives (Linux 5.6). Ours take nothing and give a number, and one type does for all of them. The object has none: rustc
//! writes BTF only together with all that debuggers want to know.

use std::os::fd::{AsFd as _, OwnedFd};

use aya::sys::SyscallError;
use aya_obj::btf::{Btf, BtfType, Func, FuncLinkage, FuncProto, Int, IntEncoding};
use aya_obj::generated::{BPF_PSEUDO_CALL, bpf_func_info, bpf_insn};

use super::syscall::{self, Functions};

/// The opcode of a call (`BPF_JMP | BPF_CALL`).
const CALL: u8 = 0x85;

/// The functions of a program, with their types in the kernel.
pub struct Subprograms {
    btf: OwnedFd,
    info: Vec<bpf_func_info>,
}

impl Subprograms {
    /// `None` if the program is a single function.
    pub fn describe(instructions: &[bpf_insn]) -> Result<Option<Self>, SyscallError> {
        let starts = starts(instructions);
        if starts.is_empty() {
            return Ok(None);
        }
        let types = Types::new();
        let btf = syscall::load_types(&types.btf.to_bytes())?;
        // The kernel wants all of them, in order, and the program itself first.
        let main = bpf_func_info { insn_off: 0, type_id: types.main };
        let step = |insn_off| bpf_func_info { insn_off, type_id: types.step };
        let info = std::iter::once(main).chain(starts.into_iter().map(step)).collect();
        Ok(Some(Self { btf, info }))
    }

    /// What goes with the program.
    pub fn functions(&self) -> Functions<'_> {
        Functions { btf: self.btf.as_fd(), info: &self.info }
    }
}

/// Where functions begin that are called: in order, and each once.
fn starts(instructions: &[bpf_insn]) -> Vec<u32> {
    let mut starts: Vec<u32> = (1_i64..)
        .zip(instructions)
        .filter(|(_, instruction)| {
            instruction.code == CALL && u32::from(instruction.src_reg()) == BPF_PSEUDO_CALL
        })
        .filter_map(|(next, instruction)| u32::try_from(next + i64::from(instruction.imm)).ok())
        .collect();
    starts.sort_unstable();
    starts.dedup();
    starts
}

struct Types {
    btf: Btf,
    /// The id of what stands for the program itself, which the verifier knows by its kind.
    main: u32,
    /// The id of a global function.
    step: u32,
}

impl Types {
    fn new() -> Self {
        let mut btf = Btf::new();
        let name = btf.add_string("u64");
        let number = btf.add_type(BtfType::Int(Int::new(name, 8, IntEncoding::None, 0)));
        let proto = btf.add_type(BtfType::FuncProto(FuncProto::new(Vec::new(), number)));
        let mut function = |name, linkage| {
            let name = btf.add_string(name);
            btf.add_type(BtfType::Func(Func::new(name, proto, linkage)))
        };
        let main = function("inspector_main", FuncLinkage::Static);
        let step = function("inspector_step", FuncLinkage::Global);
        Self { btf, main, step }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instructions(of: &[(u8, u8, i32)]) -> Vec<bpf_insn> {
        let bytes: Vec<u8> = of
            .iter()
            .flat_map(|(code, registers, imm)| [&[*code, *registers, 0, 0][..], &imm.to_le_bytes()].concat())
            .collect();
        aya_obj::copy_instructions(&bytes).unwrap()
    }

    #[test]
    fn functions_begin_where_calls_lead() {
        let exit = (0x95, 0, 0);
        let call = |imm| (CALL, 0x10, imm);
        assert!(starts(&instructions(&[(CALL, 0, 113), exit])).is_empty(), "a helper is no function");
        // Two calls of the same, one of another that is before it, and a call backwards beyond the program.
        let program = [call(5), call(4), call(1), exit, exit, call(-99), exit];
        assert_eq!(starts(&instructions(&program)), [4, 6]);
    }
}
