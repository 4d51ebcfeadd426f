//! What scenarios ask for is something that the product has.

use std::time::Duration;

use drover_testkit::run::Plan;
use drover_testkit::scenario::Deed;
use drover_testkit::seed::Seed;
use drover_types::Kind;
use drover_types::admit::admit;

const HOUR: Duration = Duration::from_secs(3600);

/// One that is refused is nothing that a law could look at.
#[test]
fn every_object_that_a_scenario_makes_is_admitted() {
    let mut made = 0;
    for seed in 0..60 {
        for hours in [2, 24] {
            for act in Plan::new(Seed(seed), 8, hours * HOUR).script() {
                let Deed::Call { method: "POST", path, body } = act.deed else { continue };
                let plural = path.rsplit('/').next().unwrap_or_default();
                // Verbs of an object, too, are called by POST.
                let Some(kind) = Kind::ALL.iter().copied().find(|kind| kind.names().plural == plural) else {
                    continue;
                };
                let mut object = body.clone();
                object["apiVersion"] = kind.api_version().into();
                object["kind"] = kind.names().kind.into();
                let refused = admit(kind, object, None).err();
                assert!(refused.is_none(), "seed {seed}: {path} {body}: {refused:?}");
                made += 1;
            }
        }
    }
    assert!(made > 1_000, "{made} objects are few");
}
