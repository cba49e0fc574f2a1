//! How containers ended, as far as runtimes tell.

use jiff::SignedDuration;

use crate::observation::{DeclaredContainer, Kind};
use crate::state::links::{Link, root};
use crate::state::units::UnitId;
use crate::state::{Model, pods};
use crate::view::{Exit, ExitCause};

/// How far apart a runtime may note the end of a PID namespace's init and of the members that the kernel killed with
/// it: both go through its shims' event queues, and the order between two containers is not kept.
const NOTED_EARLIER: SignedDuration = SignedDuration::from_secs(1);
const NOTED_LATER: SignedDuration = SignedDuration::from_secs(5);

/// The exit of a container that is no longer running.
pub(super) fn of(unit: UnitId, model: &Model<'_>) -> Option<Exit> {
    let unit_data = model.units.list.get(unit).filter(|unit| !unit.is_living())?;
    let declared = unit_data.declared?;
    let finished_at = declared.finished_at.map(|time| time.to_string());
    let (cause, why) = match declared.exit_code {
        Some(137) if declared.oom_killed => (
            ExitCause::Signal,
            "the runtime says that the kernel killed it for want of memory (SIGKILL)".to_owned(),
        ),
        Some(137) => died_with_its_pid_namespace(unit, declared, model)
            .map_or_else(|| by_code(137), |why| (ExitCause::PidNamespaceDied, why)),
        Some(code) => by_code(code),
        None => (ExitCause::Unknown, "its runtime does not tell how it ended".to_owned()),
    };
    Some(Exit { code: declared.exit_code, finished_at, cause, why })
}

/// By convention 128 + n stands for death by signal n.
fn by_code(code: i32) -> (ExitCause, String) {
    match code {
        129..=192 => {
            (ExitCause::Signal, format!("exit code {code} is 128 + {}: {}", code - 128, signal(code - 128)))
        }
        _ => (ExitCause::Itself, format!("it returned {code}")),
    }
}

fn signal(number: i32) -> String {
    match number {
        1 => "SIGHUP".to_owned(),
        2 => "SIGINT".to_owned(),
        3 => "SIGQUIT".to_owned(),
        4 => "SIGILL".to_owned(),
        6 => "SIGABRT".to_owned(),
        7 => "SIGBUS".to_owned(),
        8 => "SIGFPE".to_owned(),
        9 => "SIGKILL".to_owned(),
        11 => "SIGSEGV".to_owned(),
        13 => "SIGPIPE".to_owned(),
        14 => "SIGALRM".to_owned(),
        15 => "SIGTERM".to_owned(),
        other => format!("signal {other}"),
    }
}

/// Whether the container in whose PID namespace it lived ended at the same time: then the kernel killed it.
fn died_with_its_pid_namespace(
    unit: UnitId,
    victim: &DeclaredContainer,
    model: &Model<'_>,
) -> Option<String> {
    let owner = match model.links.get(unit)?.get(&Kind::Pid)? {
        Link::Target(partner) => root(&model.links, Kind::Pid, partner)?,
        _ => pods::declared_root(unit, Kind::Pid, model)?,
    };
    let owner = model.units.list.get(owner.unit?)?;
    let ended = owner.declared?.finished_at?;
    let later = victim.finished_at?.duration_since(ended);
    if later < -NOTED_EARLIER || later > NOTED_LATER {
        return None;
    }
    let code = match owner.declared?.exit_code {
        Some(code) => format!(" with code {code}"),
        None => String::new(),
    };
    Some(format!(
        "it lived in the PID namespace of {owner}, whose PID 1 ended at {ended}{code}: \
         when the init of a PID namespace dies, the kernel kills every process in it (SIGKILL, exit code 137)",
        owner = owner.name,
    ))
}
