//! The JSON of namespaces, row by row: a node has ten thousands of them, and neither their values nor their text is
//! ever in memory as a whole.

use std::io::Write;

use crate::render::json;
use crate::render::json::object::{self, Object};
use crate::view::{NamespaceHolder, NamespaceList, NamespaceRow};

/// So many bytes are written at a time, and some.
const CHUNK: usize = 64 * 1024;

/// Prints the list, byte for byte as [`json::pretty`] would.
pub(super) fn print(list: &NamespaceList<'_>, out: &mut dyn Write) -> serde_json::Result<()> {
    let around = NamespaceList {
        node: list.node.clone(),
        coverage: list.coverage.clone(),
        namespaces: list.namespaces.none(),
        ..*list
    };
    let around = json::pretty(&around)?;
    // The rows are the last field.
    let (head, tail) = around.rsplit_once("[]").unwrap_or((&around, ""));
    let mut text = Vec::with_capacity(CHUNK + 4096);
    text.extend_from_slice(head.as_bytes());
    text.push(b'[');
    for (index, namespace) in list.namespaces.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        object::line(&mut text, 2);
        row(&mut text, &NamespaceRow::of(&namespace));
        if text.len() >= CHUNK {
            out.write_all(&text).map_err(serde_json::Error::io)?;
            text.clear();
        }
    }
    if !list.namespaces.is_empty() {
        object::line(&mut text, 1);
    }
    text.push(b']');
    text.extend_from_slice(tail.as_bytes());
    out.write_all(&text).map_err(serde_json::Error::io)
}

/// One row. Its fields are those of the type, in its order: a test compares them.
fn row(out: &mut Vec<u8>, row: &NamespaceRow<'_>) {
    let mut object = Object::open(out, 3);
    object.string("kind", row.kind.name());
    object.number("inode", u64::from(row.inode));
    object.number("generation", row.generation);
    object.number("id", row.id);
    object.number("processes", u64::from(row.processes));
    object.number("threads", u64::from(row.threads));
    if row.zombies > 0 {
        object.number("zombies", u64::from(row.zombies));
    }
    object.number("pid", u64::from(row.pid));
    object.string("command", row.command);
    object.number("uid", row.uid.map(u64::from));
    object.number("parent", row.parent.map(u64::from));
    object.number("ownerUserNamespace", row.owner_user_namespace.map(u64::from));
    object.truth("host", row.host);
    object.list("containers", &row.containers, |out, id, _| object::string(out, id));
    object.list("pods", &row.pods, |out, id, _| object::string(out, id));
    object.object("owner", |owner| {
        owner.string("container", row.owner.container.as_deref());
        owner.number("pid", u64::from(row.owner.pid));
        owner.truth("alive", row.owner.alive);
        owner.string("class", row.owner.class.name());
        owner.string("evidence", row.owner.evidence.name());
        owner.string("classEvidence", row.owner.class_evidence.name());
        owner.string("why", row.owner.why.as_str());
    });
    object.list("holders", &row.holders, holder);
    if !row.for_children.is_empty() {
        object.list("forChildren", row.for_children, |out, pid, _| object::number(out, u64::from(*pid)));
    }
    object.close();
}

fn holder(out: &mut Vec<u8>, holder: &NamespaceHolder<'_>, depth: usize) {
    let mut object = Object::open(out, depth);
    object.string("type", holder.holder_type.name());
    if let Some(path) = &holder.path {
        object.string("path", path.as_ref());
    }
    if let Some(pid) = holder.pid {
        object.number("pid", u64::from(pid));
    }
    object.close();
}
