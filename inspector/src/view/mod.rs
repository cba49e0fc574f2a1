//! The answer, in the words of the output contract (`docs/json.md`): plain data, ready to be printed.
//!
//! Nothing here reads the machine or decides anything; `state` and `findings` fill it, `render` prints it.

mod audit;
mod cost;
mod event;
mod explain;
mod explanation;
mod finding;
mod graph;
mod model;
mod namespaces;
mod pods;
mod processes;
mod select;
mod target;

pub use audit::{
    AuditFinding, Compared, FindingList, GoneFinding, IdleSuppression, IdleWaiver, Status, Summary,
    Suppressed, Waived,
};
pub use cost::InfraCost;
pub use event::{
    Change, Event, EventExit, EventProcess, EventTier, EventType, Killed, Lost, Named, ProcessEvent,
};
pub use explain::explain;
pub use explanation::{
    Explanation, IfDies, Listener, NamespaceName, Network, OrphanedNamespace, Sharing, Started, TargetInfo,
    Victim, Visible,
};
pub use finding::{Finding, Severity, Subject, Undetermined};
pub use graph::{Cell, Graph, GraphContainer, GraphNamespace, GraphPod, graph};
pub use model::*;
#[cfg(test)]
pub use namespaces::samples as namespace_samples;
pub use namespaces::{
    Branch, NamespaceHolder, NamespaceList, NamespaceRow, NamespaceRows, NamespaceSelection, NamespaceSort,
    NoSuchProcess, namespace_list, select_namespaces, tree,
};
pub use pods::{coverage, node, pod_list};
pub use processes::{ContainerName, HiddenPods, PidNamespace, PodName, Process, ProcessList, process_list};
pub use select::{Selection, SortBy, select};
pub use target::{Target, TargetError};
