//! `drover restore`: the data directory of a new server, made of a backup.

use std::process::ExitCode;

use anyhow::Result;
use drover_apiserver::backup;
use drover_store::Options;
use drover_world::World;
use serde_json::json;

use crate::byte_bar::ByteBar;
use crate::command_line::{Output, Restore};
use crate::terminal;

pub(crate) fn run(args: &Restore) -> Result<ExitCode> {
    let world = World::system();
    let random = world.clone();
    let options = Options::new(move || random.uuid_v4().as_u128());
    let bar = ByteBar::new();
    bar.of(std::fs::metadata(&args.file).ok().map(|file| file.len()));
    let restored =
        backup::restore(&args.file, &args.data_dir, &options, world.uuid_v4(), &mut |read| bar.more(read));
    bar.end();
    let restored = restored?;
    let (from, store) = (&restored.backup.header, &restored.store);
    match args.output {
        Output::Json => {
            let told = json!({
                "dataDir": args.data_dir, "created": from.created, "sha256": restored.backup.sha256,
                "fromEpoch": from.epoch, "fromRevision": from.revision,
                "epoch": store.epoch, "revision": store.revision, "keys": store.keys,
            });
            terminal::report(&format!("{told}\n"))?;
        }
        Output::Text => {
            let (dir, keys) = (args.data_dir.display(), store.keys);
            let (created, revision) = (from.created, from.revision);
            terminal::report(&format!("{dir}: {keys} keys, as of {created:.0}, revision {revision}\n"))?;
            terminal::tell(&format!(
                "the server that the backup is of must not run any more; then\n  \
                 drover server --data-dir {dir} --listen ADDRESS --advertise NAME\n\
                 with a name that its agents already use, or that leads here"
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}
