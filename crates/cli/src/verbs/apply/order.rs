//! What is applied before what: namespaces before what lives in them, config before what names it.

use drover_types::Kind;

use crate::manifests::Manifest;

/// Which stage a kind is in.
pub(super) fn stage(kind: Kind) -> usize {
    match kind {
        Kind::Namespace => 0,
        Kind::Secret | Kind::ConfigMap | Kind::ServiceAccount => 1,
        Kind::Node | Kind::NodePool | Kind::Lease => 2,
        Kind::Timer | Kind::Task | Kind::Service => 3,
        Kind::Assignment | Kind::Run | Kind::Event => 4,
    }
}

/// The manifests in stages; within one, in the order of the files, and any may be sent beside any.
pub(super) fn stages(manifests: Vec<Manifest>) -> Vec<Vec<Manifest>> {
    let mut stages: Vec<Vec<Manifest>> = (0..5).map(|_| Vec::new()).collect();
    for manifest in manifests {
        stages[stage(manifest.kind)].push(manifest);
    }
    stages.retain(|stage| !stage.is_empty());
    stages
}
