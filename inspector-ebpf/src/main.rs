//! The kernel side of inspector.
#![no_std]
#![no_main]

/// Says what this object is and what it was built from, for user space and for tests.
#[unsafe(no_mangle)]
#[unsafe(link_section = "inspector.identity")]
pub static IDENTITY: [u8; LEN] = identity();

const BEFORE: &[u8] = b"inspector-bpf abi=0 source=";
const LEN: usize = BEFORE.len() + 64 + 1;

const fn identity() -> [u8; LEN] {
    let source = match option_env!("INSPECTOR_BPF_SOURCE_SHA256") {
        Some(hash) => hash.as_bytes(),
        None => b"-",
    };
    let mut text = [0; LEN];
    let mut at = 0;
    while at < BEFORE.len() {
        text[at] = BEFORE[at];
        at += 1;
    }
    while at - BEFORE.len() < source.len() {
        text[at] = source[at - BEFORE.len()];
        at += 1;
    }
    text
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[unsafe(link_section = "iter/task")]
#[unsafe(no_mangle)]
extern "C" fn tasks(_ctx: *mut core::ffi::c_void) -> i32 {
    0
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
