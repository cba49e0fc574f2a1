//! What a thread waits for, told from the text of `/proc/PID/task/TID/syscall` or `wchan`. Pure: the few facts
//! that need another look at the process come back as a [`Blocked`] that says which.

use crate::observation::Wait;

/// What the text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Blocked {
    /// All there is to know.
    On(Wait),
    /// In a read of that descriptor: endless only where it is a signalfd.
    Read(u32),
    /// In an endless `epoll_wait` on that descriptor: for signals only where all that it watches are signalfds.
    Epoll(u32),
    /// The system call's number does not tell (it is a 32-bit program's, or no table has it): `wchan` may.
    AskWchan(&'static str),
}

/// The numbers of the system calls that a thread can wait in, for one architecture.
pub(super) type Numbers = &'static [(u64, &'static str)];

/// This machine's; empty on an architecture that we have no table for, which leaves `wchan`.
pub(super) const NATIVE: Numbers = if cfg!(target_arch = "x86_64") {
    X86_64
} else if cfg!(target_arch = "aarch64") {
    AARCH64
} else {
    &[]
};

/// x86-64's (`arch/x86/entry/syscalls/syscall_64.tbl`).
const X86_64: Numbers = &[
    (0, "read"),
    (7, "poll"),
    (19, "readv"),
    (23, "select"),
    (34, "pause"),
    (35, "nanosleep"),
    (43, "accept"),
    (45, "recvfrom"),
    (47, "recvmsg"),
    (61, "wait4"),
    (128, "rt_sigtimedwait"),
    (130, "rt_sigsuspend"),
    (202, "futex"),
    (208, "io_getevents"),
    (219, "restart_syscall"),
    (230, "clock_nanosleep"),
    (232, "epoll_wait"),
    (247, "waitid"),
    (270, "pselect6"),
    (271, "ppoll"),
    (281, "epoll_pwait"),
    (288, "accept4"),
    (426, "io_uring_enter"),
    (441, "epoll_pwait2"),
    (449, "futex_waitv"),
    (455, "futex_wait"),
];

/// 64-bit Arm's (`include/uapi/asm-generic/unistd.h`). It has no `pause`: C libraries call `ppoll` on nothing.
const AARCH64: Numbers = &[
    (4, "io_getevents"),
    (22, "epoll_pwait"),
    (63, "read"),
    (65, "readv"),
    (72, "pselect6"),
    (73, "ppoll"),
    (95, "waitid"),
    (98, "futex"),
    (101, "nanosleep"),
    (115, "clock_nanosleep"),
    (128, "restart_syscall"),
    (133, "rt_sigsuspend"),
    (137, "rt_sigtimedwait"),
    (202, "accept"),
    (207, "recvfrom"),
    (212, "recvmsg"),
    (242, "accept4"),
    (260, "wait4"),
    (426, "io_uring_enter"),
    (441, "epoll_pwait2"),
    (449, "futex_waitv"),
    (455, "futex_wait"),
];

/// `WNOHANG`: do not wait.
const WNOHANG: u64 = 1;

/// Reads the text of a `syscall` file; `None` where it is not one.
pub(super) fn decode(text: &str, numbers: Numbers) -> Option<Blocked> {
    let text = text.trim();
    if text == "running" {
        return Some(Blocked::On(other("running")));
    }
    let mut fields = text.split_ascii_whitespace();
    let number = fields.next()?;
    if number == "-1" {
        return Some(Blocked::On(other("blocked outside a system call")));
    }
    let number: u64 = number.parse().ok()?;
    let mut registers = [0_u64; 8];
    for register in &mut registers {
        *register = u64::from_str_radix(fields.next()?.strip_prefix("0x")?, 16).ok()?;
    }
    let [fd, second, third, fourth, fifth, _, stack, _] = registers;
    // A 32-bit program's numbers are another table's. Its stack lies below 4 GiB, where no 64-bit one is put.
    if u32::try_from(stack).is_ok() {
        return Some(Blocked::AskWchan("a 32-bit program"));
    }
    let Some((_, name)) = numbers.iter().find(|(known, _)| *known == number) else {
        return Some(if numbers.is_empty() {
            Blocked::AskWchan("an architecture whose system calls are not known here")
        } else {
            Blocked::On(Wait::Other(format!("system call {number}")))
        });
    };
    // The kernel takes an `int` from the lower half of a register, whatever the upper one holds.
    let int = |register: u64| register & 0xffff_ffff;
    let negative = |register: u64| int(register) >= 0x8000_0000;
    let descriptor = u32::try_from(int(fd)).unwrap_or(u32::MAX);
    Some(match *name {
        "pause" | "rt_sigsuspend" => Blocked::On(Wait::Signal),
        "rt_sigtimedwait" => Blocked::On(if third == 0 { Wait::Signal } else { Wait::TimedSignal }),
        "wait4" if int(third) & WNOHANG == 0 => Blocked::On(Wait::Children),
        "waitid" if int(fourth) & WNOHANG == 0 => Blocked::On(Wait::Children),
        "nanosleep" | "clock_nanosleep" => Blocked::On(Wait::Sleep),
        "read" | "readv" => Blocked::Read(descriptor),
        // To watch nothing is to wait for a signal, or to sleep where there is a time limit.
        "poll" if int(second) == 0 => Blocked::On(signal_or_sleep(negative(third))),
        "ppoll" if int(second) == 0 => Blocked::On(signal_or_sleep(third == 0)),
        "select" | "pselect6" if int(fd) == 0 => Blocked::On(signal_or_sleep(fifth == 0)),
        "epoll_wait" | "epoll_pwait" if negative(fourth) => Blocked::Epoll(descriptor),
        "epoll_pwait2" if fourth == 0 => Blocked::Epoll(descriptor),
        "restart_syscall" if restarts_a_sleep(fd, second) => Blocked::On(Wait::Sleep),
        name => Blocked::On(other(name)),
    })
}

/// Reads the text of a `wchan` file: the kernel's function that the thread sleeps in. `None` where it names none:
/// the thread runs, or the reader may not know.
pub(super) fn decode_wchan(text: &str) -> Option<Wait> {
    // The compiler marks the parts of a function that it cut up: `do_sigtimedwait.isra.0`.
    let function = text.trim().split('.').next().unwrap_or_default();
    Some(match function {
        "" | "0" => return None,
        // `__do_sys_pause`, `__x64_sys_pause`, `__ia32_sys_pause`, older kernels' `sys_pause`.
        pause if pause.ends_with("sys_pause") => Wait::Signal,
        "sigsuspend" | "signalfd_read" | "signalfd_read_iter" | "signalfd_dequeue" => Wait::Signal,
        // With or without a limit: the kernel's function is the same.
        "do_sigtimedwait" => other("rt_sigtimedwait"),
        "do_wait" | "kernel_wait4" | "kernel_waitid" => Wait::Children,
        "hrtimer_nanosleep" | "do_nanosleep" => Wait::Sleep,
        function => other(function),
    })
}

/// Whether a restarted system call (after SIGCONT, or when a container is thawed) is a sleep. The registers still
/// hold its arguments; its number is lost, and `wchan` names the system call entry only. The kernel restarts
/// `clock_nanosleep(clock, flags, …)`, `nanosleep(time, remainder)`, `poll(fds, count, …)` and
/// `futex(word, operation, …)` like this: by a clock for a first argument, or a pointer for a second one.
const fn restarts_a_sleep(first: u64, second: u64) -> bool {
    const CLOCKS: u64 = 16;
    (first < CLOCKS && second <= 1) || second > u32::MAX as u64
}

fn other(name: &str) -> Wait {
    Wait::Other(name.to_owned())
}

fn signal_or_sleep(endless: bool) -> Wait {
    if endless { Wait::Signal } else { Wait::Sleep }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as real programs left them on a 6.18 kernel (x86-64), but for those marked.
    #[test]
    fn system_calls() {
        let on = Blocked::On;
        let table = [
            (
                "pause.c",
                "34 0x11 0x7ffd83950a20 0x0 0x7f1457f38fa0 0x0 0x7f14581196d0 0x7ffd83950b68 0x7f1457ff2dd0",
                on(Wait::Signal),
            ),
            (
                "catatonit -P",
                "0 0x3 0x7ffe641b0070 0x80 0x0 0x0 0x0 0x7ffe641aff08 0x43451d",
                Blocked::Read(3),
            ),
            (
                "tini",
                "128 0x7ffda7ac0530 0x7ffda7ac0460 0x55fcb0a5d020 0x8 0x7 0x55fcde8762a0 0x7ffda7ac0430 0x7f6b3ffa5c2f",
                on(Wait::TimedSignal),
            ),
            (
                "dumb-init",
                "128 0x7ffd5f544160 0x7ffd5f5440a0 0x0 0x8 0x0 0x0 0x7ffd5f544070 0x7f23d4fbfc2f",
                on(Wait::Signal),
            ),
            (
                "sleep 1h",
                "230 0x0 0x0 0x7ffefaba0180 0x7ffefaba01c0 0x0 0x0 0x7ffefaba0168 0x7f132e9ae503",
                on(Wait::Sleep),
            ),
            (
                "dash in wait",
                "61 0xffffffff 0x7ffd52302f4c 0x0 0x0 0x2 0x1 0x7ffd52302f38 0x7f3e5f43fbd3",
                on(Wait::Children),
            ),
            (
                "wait4 with WNOHANG",
                "61 0xffffffff 0x7ffd52302f4c 0x1 0x0 0x2 0x1 0x7ffd52302f38 0x7f3e5f43fbd3",
                on(other("wait4")),
            ),
            (
                "dash, sleep & wait",
                "130 0x7ffe719328e0 0x8 0x0 0x8 0x1 0x1 0x7ffe719328c8 0x7f25d273d2d5",
                on(Wait::Signal),
            ),
            (
                "tail -f of a file",
                "7 0x7ffe70173cf0 0x1 0xffffffff 0x7f27a26c48d0 0x7f27a2889c68 0x0 0x7ffe70173b58 0x7f27a27b2230",
                on(other("poll")),
            ),
            (
                "poll of nothing, endless",
                "7 0x0 0x0 0xffffffff 0x0 0x0 0x0 0x7ffe70173b58 0x7f27a27b2230",
                on(Wait::Signal),
            ),
            (
                "poll of nothing, garbage above the int",
                "7 0x0 0x7fff00000000 0xdeadbeefffffffff 0x0 0x0 0x0 0x7ffe70173b58 0x7f27a27b2230",
                on(Wait::Signal),
            ),
            (
                "poll of nothing, 5 s",
                "7 0x0 0x0 0x1388 0x0 0x0 0x0 0x7ffe70173b58 0x7f27a27b2230",
                on(Wait::Sleep),
            ),
            (
                "s6-svscan",
                "271 0x7fffd3987980 0x2 0x7fffd397eb60 0x0 0x8 0x21001 0x7fffd397eb40 0x7f02fb3cc308",
                on(other("ppoll")),
            ),
            (
                "select of nothing",
                "23 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffe70173b58 0x7f27a27b2230",
                on(Wait::Signal),
            ),
            (
                "pselect6 of nothing, limited",
                "270 0x0 0x0 0x0 0x0 0x7ffe70173b60 0x0 0x7ffe70173b58 0x7f27a27b2230",
                on(Wait::Sleep),
            ),
            (
                "epoll_wait, endless",
                "232 0x4 0x7ffe70173b60 0x10 0xffffffff 0x0 0x0 0x7ffe70173b58 0x7f27a27b2230",
                Blocked::Epoll(4),
            ),
            (
                "epoll_wait, 1 s",
                "232 0x4 0x7ffe70173b60 0x10 0x3e8 0x0 0x0 0x7ffe70173b58 0x7f27a27b2230",
                on(other("epoll_wait")),
            ),
            (
                "a thread of Go",
                "202 0x5716a8 0x80 0x0 0x0 0x0 0x0 0x7ffe70173b58 0x46a2a3",
                on(other("futex")),
            ),
            (
                "coreutils' sleep 1h after SIGCONT",
                "219 0x0 0x0 0x7ffd18ef0a00 0x7ffd18ef0a40 0x0 0x0 0x7ffd18ef09e8 0x7f6614607503",
                on(Wait::Sleep),
            ),
            (
                "nanosleep of musl after SIGCONT",
                "219 0x7ffd18ef0a00 0x7ffd18ef0a00 0x0 0x0 0x0 0x0 0x7ffd18ef09e8 0x7f6614607503",
                on(Wait::Sleep),
            ),
            (
                "poll after SIGCONT",
                "219 0x7ffd18ef0a00 0x2 0xffffffff 0x0 0x0 0x0 0x7ffd18ef09e8 0x7f6614607503",
                on(other("restart_syscall")),
            ),
            (
                "futex after SIGCONT",
                "219 0x7ffd18ef0a00 0x80 0x0 0x7ffd18ef0a40 0x0 0x0 0x7ffd18ef09e8 0x7f6614607503",
                on(other("restart_syscall")),
            ),
            (
                "a 32-bit pause",
                "29 0x0 0x0 0x0 0x0 0x0 0x0 0xffd1b2c8 0xf7f3c549",
                Blocked::AskWchan("a 32-bit program"),
            ),
            (
                "one we have no name for",
                "999 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffe70173b58 0x46a2a3",
                on(other("system call 999")),
            ),
            ("running", "running", on(other("running"))),
            ("a page fault", "-1 0x7ffe70173b58 0x46a2a3", on(other("blocked outside a system call"))),
        ];
        for (what, line, expected) in table {
            assert_eq!(decode(&format!("{line}\n"), X86_64), Some(expected), "{what}");
        }
    }

    #[test]
    fn system_calls_of_arm() {
        let rest = "0xffffd8a1c5d0 0xffff9d0b1c30";
        let table = [
            ("pause() of glibc", format!("73 0x0 0x0 0x0 0x0 0x8 0x0 {rest}"), Blocked::On(Wait::Signal)),
            ("sigwait", format!("137 0xffffd8a1c5d0 0x0 0x0 0x8 0x0 0x0 {rest}"), Blocked::On(Wait::Signal)),
            (
                "waitid, no WNOHANG",
                format!("95 0x0 0x0 0xffffd8a1c5d0 0x4 0x0 0x0 {rest}"),
                Blocked::On(Wait::Children),
            ),
            ("read", format!("63 0x3 0x0 0x0 0x0 0x0 0x0 {rest}"), Blocked::Read(3)),
            (
                "x86-64's pause",
                format!("34 0x0 0x0 0x0 0x0 0x0 0x0 {rest}"),
                Blocked::On(other("system call 34")),
            ),
        ];
        for (what, line, expected) in table {
            assert_eq!(decode(&line, AARCH64), Some(expected), "{what}");
        }
        let pause = format!("34 0x0 0x0 0x0 0x0 0x0 0x0 {rest}");
        assert!(
            matches!(decode(&pause, &[]), Some(Blocked::AskWchan(_))),
            "without a table nothing is guessed"
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for text in
            ["", "34", "34 0x0 0x0", "x 0x0 0x0 0x0 0x0 0x0 0x0 0x0 0x0", "34 zz 0x0 0x0 0x0 0x0 0x0 0x0 0x0"]
        {
            assert_eq!(decode(text, X86_64), None, "{text:?}");
        }
    }

    /// Names as 6.18 and older kernels have them.
    #[test]
    fn kernel_functions() {
        for (text, expected) in [
            ("__do_sys_pause", Some(Wait::Signal)),
            ("__x64_sys_pause", Some(Wait::Signal)),
            ("sys_pause", Some(Wait::Signal)),
            ("sigsuspend.isra.0", Some(Wait::Signal)),
            ("signalfd_read_iter", Some(Wait::Signal)),
            ("signalfd_read", Some(Wait::Signal)),
            ("do_sigtimedwait.isra.0", Some(other("rt_sigtimedwait"))),
            ("do_wait", Some(Wait::Children)),
            ("hrtimer_nanosleep", Some(Wait::Sleep)),
            ("poll_schedule_timeout.constprop.0", Some(other("poll_schedule_timeout"))),
            ("0", None),
            ("", None),
        ] {
            assert_eq!(decode_wchan(text), expected, "{text}");
        }
    }
}
