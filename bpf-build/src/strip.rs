//! Taking the debugger's information out of an object: nine tenths of its bytes, and nothing that a kernel reads.

use object::build::elf::{Builder, SectionData};
use object::elf::SHT_STRTAB;

/// `object` without its DWARF sections. What the kernel and the loader read stays: code, maps, BTF, symbols.
pub fn without_dwarf(object: &[u8]) -> Result<Vec<u8>, object::build::Error> {
    let mut elf = Builder::read(object)?;
    for section in &mut elf.sections {
        let name = &*section.name;
        section.delete = name.starts_with(b".debug_") || name.starts_with(b".rel.debug_");
    }
    elf.delete_orphans();
    // LLVM keeps the names of sections and symbols in one table; the builder wants one for each.
    let names = elf.sections.add();
    names.name = b".shstrtab"[..].into();
    names.sh_type = SHT_STRTAB;
    names.sh_addralign = 1;
    names.data = SectionData::SectionString;
    let mut stripped = Vec::new();
    elf.write(&mut stripped)?;
    Ok(stripped)
}
