//! `drover backup`: a file with all that a server on a new host needs, whole and checked before it has its name.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use drover_apiserver::backup::{self, Reading, Verified};
use drover_client::Request;
use drover_store::Options;
use drover_world::World;
use http::{HeaderValue, Method, header};
use serde_json::json;

use crate::byte_bar::ByteBar;
use crate::command_line::{Backup, Output};
use crate::connect::{block_on, connect};
use crate::terminal;

/// Where a running server gives one.
const PATH: &str = "/apis/drover.dev/v1/backup";

pub(crate) fn run(args: &Backup) -> Result<ExitCode> {
    let mut draft = Draft::begin(&args.file)?;
    match &args.data_dir {
        Some(data_dir) => {
            let world = World::system();
            let random = world.clone();
            let options = Options::new(move || random.uuid_v4().as_u128());
            let now = world.clock.now();
            backup::at_rest::<anyhow::Error>(data_dir, &options, now, &mut |piece| draft.push(piece))?;
        }
        None => {
            let connection = connect(&args.target)?;
            block_on(async {
                let mut request = Request::new(Method::GET, PATH);
                request.headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
                let mut answer = connection.client.stream(request).await?;
                while let Some(piece) = answer.next().await.context("the server's backup broke off")? {
                    draft.push(&piece)?;
                }
                Ok(())
            })?;
        }
    }
    let made = draft.finish()?;
    let header = &made.header;
    match args.output {
        Output::Json => {
            let told = json!({
                "file": args.file, "bytes": made.bytes, "sha256": made.sha256, "created": header.created,
                "epoch": header.epoch, "revision": header.revision, "keys": header.keys,
            });
            terminal::report(&format!("{told}\n"))?;
        }
        Output::Text => {
            let (file, bytes) = (args.file.display(), made.bytes);
            terminal::report(&format!(
                "{file}: revision {}, {} keys, {bytes} bytes, sha256 {}\n",
                header.revision, header.keys, made.sha256
            ))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The file while it is not whole: it has another name, and is removed if it never gets there.
struct Draft<'a> {
    target: &'a Path,
    path: PathBuf,
    file: File,
    /// Checks what is written as whoever restores it will.
    reading: Option<Reading>,
    bar: ByteBar,
}

impl<'a> Draft<'a> {
    fn begin(target: &'a Path) -> Result<Self> {
        if target.is_dir() {
            bail!("{} is a folder; name the file to write", target.display());
        }
        let mut name = target.as_os_str().to_owned();
        name.push(".part");
        let path = PathBuf::from(name);
        let no_file = || format!("cannot write {}", path.display());
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).with_context(no_file),
            _ => {}
        }
        let open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = open.with_context(no_file)?;
        let reading = Some(Reading::new("what the server sent"));
        Ok(Self { target, path, file, reading, bar: ByteBar::new() })
    }

    fn push(&mut self, piece: &[u8]) -> Result<()> {
        if let Some(reading) = &mut self.reading {
            reading.push(piece, &mut |_, _, _| Ok(()))?;
            self.bar.of(reading.length());
        }
        self.bar.more(piece.len() as u64);
        self.file.write_all(piece).with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// What was written, once it is whole and on disk under its name.
    fn finish(mut self) -> Result<Verified> {
        let reading = self.reading.take().context("a backup is finished once")?;
        let verified = reading.finish()?;
        let parent = self.target.parent().filter(|parent| !parent.as_os_str().is_empty());
        (|| {
            self.file.sync_all()?;
            fs::rename(&self.path, self.target)?;
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
        })()
        .with_context(|| format!("cannot write {}", self.target.display()))?;
        Ok(verified)
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        self.bar.end();
        // After a good end there is none.
        let _ = fs::remove_file(&self.path);
    }
}
