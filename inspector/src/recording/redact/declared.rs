//! What runtimes declare, redacted.

use super::Redactor;
use crate::findings;
use crate::observation::{
    Declaration, DeclaredContainer, DeclaredPod, Ignore, Infra, Mount, SandboxNamespace,
};
use crate::state::well_known::classify_command;
use crate::view::Class;

impl Redactor {
    pub(super) fn container(&self, container: DeclaredContainer) -> DeclaredContainer {
        let DeclaredContainer {
            id,
            name,
            runtime,
            origin,
            image,
            state,
            pid,
            start_ticks,
            created_at,
            started_at,
            finished_at,
            exit_code,
            oom_killed,
            cgroup,
            infra_mark,
            command,
            declared,
            pod,
            compose,
            mounts,
            role,
            word_of_uid,
            opaque,
            ignore,
            source,
        } = container;
        let words = &self.words;
        DeclaredContainer {
            id: words.name(&id),
            name: name.map(|name| words.name(&name)),
            runtime,
            origin,
            image: image.map(|image| words.name(&image)),
            state,
            pid,
            start_ticks,
            created_at,
            started_at,
            finished_at,
            exit_code,
            oom_killed,
            cgroup: cgroup.map(|path| words.cgroup(&path)),
            infra_mark: infra_mark.map(|mark| words.sentence(&mark)),
            command: self.command(&command),
            declared: declared.into_iter().map(|(kind, how)| (kind, self.declaration(how))).collect(),
            pod: pod.map(|id| words.name(&id)),
            compose: compose.map(|(project, service)| (words.name(&project), words.name(&service))),
            mounts: mounts.into_iter().map(|it| self.mount(it)).collect(),
            role,
            word_of_uid,
            opaque: opaque.map(|why| words.sentence(&why)),
            ignore: ignore.map(|it| self.ignore(it)),
            source: words.path(&source),
        }
    }

    pub(super) fn pod(&self, pod: DeclaredPod) -> DeclaredPod {
        let DeclaredPod {
            id,
            name,
            namespace,
            uid,
            origin,
            created_at,
            infra,
            namespaces,
            ready,
            shares,
            runtime,
            word_of_uid,
            ignore,
        } = pod;
        let words = &self.words;
        let pinned = |it: SandboxNamespace| {
            let SandboxNamespace { kind, path, inode } = it;
            SandboxNamespace { kind, path: words.path(&path), inode }
        };
        DeclaredPod {
            id: words.name(&id),
            name: words.name(&name),
            namespace: namespace.map(|name| words.name(&name)),
            uid: uid.map(|uid| words.name(&uid)),
            origin,
            created_at,
            infra: match infra {
                Infra::Container(id) => Infra::Container(words.name(&id)),
                Infra::Unknown | Infra::Processless | Infra::Nothing => infra,
            },
            namespaces: namespaces.into_iter().map(pinned).collect(),
            ready,
            shares,
            runtime,
            word_of_uid,
            ignore: ignore.map(|it| self.ignore(it)),
        }
    }

    fn declaration(&self, declaration: Declaration) -> Declaration {
        match declaration {
            Declaration::Private | Declaration::Shareable | Declaration::Host | Declaration::Pod => {
                declaration
            }
            Declaration::Target(id) => Declaration::Target(self.words.name(&id)),
            Declaration::Container(id) => Declaration::Container(self.words.name(&id)),
            Declaration::Path { path, inode } => Declaration::Path { path: self.words.path(&path), inode },
        }
    }

    fn mount(&self, mount: Mount) -> Mount {
        let Mount { source, target, read_only, kind } = mount;
        Mount { source: self.words.path(&source), target: self.words.path(&target), read_only, kind }
    }

    /// Rules stay; what is none is somebody's own word.
    fn ignore(&self, ignore: Ignore) -> Ignore {
        let Ignore { rules, reason } = ignore;
        let rule = |written: &str| match findings::rule(written.trim()) {
            Some(rule) => rule.id.to_owned(),
            None => self.words.name(written.trim()),
        };
        Ignore {
            rules: rules.split(',').map(rule).collect::<Vec<_>>().join(","),
            reason: reason.map(|reason| self.words.sentence(&reason)),
        }
    }

    /// A command of which the same is to be said. Of one that only sleeps, the shortest that does: the words of a script
    /// may be anybody's.
    fn command(&self, command: &[String]) -> Vec<String> {
        let verdict = classify_command(command);
        if verdict.class == Class::Pause {
            let shortest: [&[&str]; 5] = [
                &["/pause"],
                &["sleep", "infinity"],
                &["tail", "-f", "/dev/null"],
                &["catatonit", "-P"],
                &["sh", "-c", "sleep infinity"],
            ];
            let owned = shortest.map(|words| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
            if let Some(same) = owned.into_iter().find(|words| classify_command(words) == verdict) {
                return same;
            }
        }
        let Some((program, arguments)) = command.split_first() else { return Vec::new() };
        let argument = |it: &String| if it.contains('/') { self.words.path(it) } else { self.words.name(it) };
        let arguments = arguments.iter().map(argument);
        let words: Vec<String> = std::iter::once(self.words.path(program)).chain(arguments).collect();
        match classify_command(&words).class {
            Class::Application => words,
            // Words that stay make something else of it: its program's name alone does not.
            _ => vec![self.words.command(command)],
        }
    }
}
