//! The volumes of a pod's containers, by their source, and what sort of volume each is.

use std::collections::BTreeMap;

use crate::observation::{MountKind, Origin};
use crate::state::Model;
use crate::state::units::UnitId;
use crate::view::{Volume, VolumeMount, VolumeType};

/// Who mounts what, by source.
pub(super) fn volumes(order: &[UnitId], model: &Model<'_>) -> Vec<Volume> {
    let mut by_source: BTreeMap<&str, (VolumeType, Option<String>, Vec<VolumeMount>)> = BTreeMap::new();
    for unit in order.iter().filter_map(|index| model.units.list.get(*index)) {
        let kubernetes = unit.origin == Origin::Kubernetes;
        for mount in unit.declared.iter().flat_map(|declared| &declared.mounts) {
            let (_, _, mounts) = by_source.entry(&mount.source).or_insert_with(|| {
                let (sort, name) = sort(&mount.source, mount.kind, kubernetes);
                (sort, name, Vec::new())
            });
            mounts.push(VolumeMount {
                container: unit.id.clone(),
                target: mount.target.clone(),
                read_only: mount.read_only,
            });
        }
    }
    by_source
        .into_iter()
        .map(|(source, (volume_type, name, mounts))| Volume {
            source: source.to_owned(),
            volume_type,
            name,
            mounts,
        })
        .collect()
}

/// The sort of a volume, and its name in the pod's specification where the folder tells. A kubelet keeps a pod's volumes
/// in `<root>/pods/<uid>/volumes/kubernetes.io~<plugin>/<name>`, with mounts of a part of one in `volume-subpaths`;
/// whatever a Kubernetes container mounts from elsewhere is the host's own.
fn sort(source: &str, kind: MountKind, kubernetes: bool) -> (VolumeType, Option<String>) {
    if let Some((plugin, name)) = kubelets(source) {
        let sort = match plugin {
            "empty-dir" => VolumeType::EmptyDir,
            "configmap" => VolumeType::ConfigMap,
            "secret" => VolumeType::Secret,
            "projected" => VolumeType::Projected,
            "downward-api" => VolumeType::DownwardApi,
            _ => VolumeType::Persistent,
        };
        return (sort, Some(name.to_owned()));
    }
    match kind {
        MountKind::Volume => (VolumeType::Volume, None),
        MountKind::Bind if kubernetes => (VolumeType::HostPath, None),
        MountKind::Bind => (VolumeType::Bind, None),
    }
}

/// The plugin and the name in a path of the kubelet's, wherever its root is.
fn kubelets(source: &str) -> Option<(&str, &str)> {
    let (_, below) = source.split_once("/pods/")?;
    let mut parts = below.split('/').skip(1);
    match parts.next()? {
        "volumes" => {
            let plugin = parts.next()?.strip_prefix("kubernetes.io~")?;
            Some((plugin, parts.next()?))
        }
        // Which plugin's it is a part of is not in the path.
        "volume-subpaths" => Some(("", parts.next()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubelets_folder_tells_the_sort_and_the_name() {
        let pod = "/var/lib/kubelet/pods/9ee4cd8b-2f4b-4c84-9b49-0d2a35ff8b3f";
        for (path, expected) in [
            ("volumes/kubernetes.io~empty-dir/cache", (VolumeType::EmptyDir, Some("cache"))),
            ("volumes/kubernetes.io~empty-dir/cache/sub", (VolumeType::EmptyDir, Some("cache"))),
            ("volumes/kubernetes.io~configmap/c", (VolumeType::ConfigMap, Some("c"))),
            ("volumes/kubernetes.io~projected/token", (VolumeType::Projected, Some("token"))),
            ("volumes/kubernetes.io~csi/pvc-1/mount", (VolumeType::Persistent, Some("pvc-1"))),
            ("volume-subpaths/data/app/0", (VolumeType::Persistent, Some("data"))),
        ] {
            let (sort, name) = sort(&format!("{pod}/{path}"), MountKind::Bind, true);
            assert_eq!((sort, name.as_deref()), expected, "{path}");
        }
    }

    #[test]
    fn anything_else_is_the_hosts_or_the_runtimes() {
        for (source, kind, kubernetes, expected) in [
            ("/srv/www", MountKind::Bind, true, VolumeType::HostPath),
            ("/srv/pods/x", MountKind::Bind, true, VolumeType::HostPath),
            ("/srv/pods/x/volumes/y/z", MountKind::Bind, false, VolumeType::Bind),
            ("/var/lib/docker/volumes/v/_data", MountKind::Volume, false, VolumeType::Volume),
        ] {
            assert_eq!(sort(source, kind, kubernetes), (expected, None), "{source}");
        }
    }
}
