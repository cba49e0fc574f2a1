//! Paths of processes that have ended: whom they meant.

use jiff::Timestamp;

use crate::observation::{Declaration, DeclaredContainer};

/// A container whose process has ended.
#[derive(Clone, Debug)]
pub struct Dead {
    /// The pid that its process had.
    pub pid: u32,
    /// When the container was created.
    pub created: Timestamp,
    /// Its id.
    pub id: String,
    /// Whose word this is, where not root's.
    pub uid: Option<u32>,
}

/// A path `/proc/PID/ns/…` of a process that has ended leads nowhere, or to a later process of that number. Whom it meant
/// the runtime still has written down: the last container with that init that was there when the joiner was created.
pub fn name_the_dead(containers: &mut [DeclaredContainer], dead: &[Dead]) {
    for container in containers {
        let (Some(created), uid, own) = (container.created_at, container.word_of_uid, container.id.clone())
        else {
            continue;
        };
        for declaration in container.declared.values_mut() {
            let Declaration::Path { path, .. } = declaration else { continue };
            let meant =
                path.strip_prefix("/proc/").and_then(|path| path.split('/').next()?.parse::<u32>().ok());
            let meant = dead
                .iter()
                .filter(|it| Some(it.pid) == meant && it.uid == uid && it.created < created && it.id != own)
                .max_by_key(|it| it.created);
            if let Some(meant) = meant {
                *declaration = Declaration::Container(meant.id.clone());
            }
        }
    }
}
