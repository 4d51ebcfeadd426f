//! Manifests from files, folders and stdin, read whole before anything is done with them.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::decode::{Document, Limits, decode, not_utf8};
use crate::diagnostic::Diagnostic;

/// A source that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The path as it was given or found; `<stdin>` for `-`.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl SourceFile {
    /// The documents of this source.
    pub fn decode(&self, limits: &Limits) -> Result<Vec<Document>, Vec<Diagnostic>> {
        decode(&self.name, &self.text, limits)
    }
}

/// Whether folders within folders are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recursion {
    /// Only the files of the folder itself.
    Flat,
    /// All folders below, too; hidden ones left out.
    Deep,
}

/// Why a path could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no such file or folder.
    #[error("{}: no such file or folder", .0.display())]
    Missing(PathBuf),
    /// The system refused.
    #[error("{}: cannot be read", .path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder without manifests.
    #[error("{}: the folder holds no *.yaml, *.yml or *.json", .0.display())]
    EmptyFolder(PathBuf),
    /// Such a folder, with folders in it that were not asked for.
    #[error("{}: the folder holds no *.yaml, *.yml or *.json; its folders are read with --recursive", .0.display())]
    OnlyFolders(PathBuf),
    /// A source beyond the limit.
    #[error("{name}: too large: more than {limit} bytes")]
    TooLarge {
        /// The source.
        name: String,
        /// Bytes allowed.
        limit: usize,
    },
    /// More files than are ever meant.
    #[error("{}: more than {MAX_FILES} manifests below it", .0.display())]
    TooMany(PathBuf),
    /// Folders nested beyond reason, or a loop of links.
    #[error("{}: folders are nested more than {MAX_FOLDERS} deep; is there a loop of links?", .0.display())]
    TooDeep(PathBuf),
    /// `-` given twice.
    #[error("- (stdin) can be read only once")]
    StdinTwice,
    /// No path at all.
    #[error("no file, folder or - given")]
    Nothing,
    /// Bytes that are not text; the place is in the diagnostic.
    #[error("{0}")]
    NotText(Box<Diagnostic>),
}

impl From<LoadError> for Diagnostic {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::NotText(diagnostic) => *diagnostic,
            other => {
                let said = match &other {
                    LoadError::Unreadable { source, .. } => format!("{other}: {source}"),
                    _ => other.to_string(),
                };
                let (name, message) = said.split_once(": ").unwrap_or(("-", &said));
                Diagnostic::error(name, message)
            }
        }
    }
}

/// Files read from one folder at most.
const MAX_FILES: usize = 10_000;
/// Folders within folders followed at most.
const MAX_FOLDERS: usize = 32;

/// Reads every path, in the order given; folders in the order of their names. `-` reads `stdin`.
pub fn load_paths(
    paths: &[PathBuf],
    recursion: Recursion,
    stdin: &mut dyn Read,
    limits: &Limits,
) -> Result<Vec<SourceFile>, LoadError> {
    let mut sources = Vec::new();
    let mut stdin_read = false;
    for path in paths {
        if path.as_os_str() == "-" {
            if stdin_read {
                return Err(LoadError::StdinTwice);
            }
            stdin_read = true;
            sources.push(read_source("<stdin>", path, stdin, limits)?);
            continue;
        }
        if metadata(path)?.is_dir() {
            let mut files = Vec::new();
            let folders = gather(path, recursion, 0, path, &mut files)?;
            match (files.is_empty(), folders) {
                (true, true) => return Err(LoadError::OnlyFolders(path.clone())),
                (true, false) => return Err(LoadError::EmptyFolder(path.clone())),
                (false, _) => {}
            }
            for file in files {
                sources.push(read_file(&file, limits)?);
            }
        } else {
            sources.push(read_file(path, limits)?);
        }
    }
    if paths.is_empty() { Err(LoadError::Nothing) } else { Ok(sources) }
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> LoadError + '_ {
    move |source| match source.kind() {
        io::ErrorKind::NotFound => LoadError::Missing(path.to_owned()),
        _ => LoadError::Unreadable { path: path.to_owned(), source },
    }
}

fn metadata(path: &Path) -> Result<fs::Metadata, LoadError> {
    fs::metadata(path).map_err(unreadable(path))
}

/// Adds the manifests of a folder; answers whether folders in it were left out.
fn gather(
    folder: &Path,
    recursion: Recursion,
    depth: usize,
    root: &Path,
    files: &mut Vec<PathBuf>,
) -> Result<bool, LoadError> {
    if depth > MAX_FOLDERS {
        return Err(LoadError::TooDeep(root.to_owned()));
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
        let entry = entry.map_err(unreadable(folder))?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            entries.push(entry.path());
        }
    }
    entries.sort();
    let mut left_out = false;
    for path in entries {
        let is_manifest = path.extension().is_some_and(|ext| ext == "yaml" || ext == "yml" || ext == "json");
        // Links are followed: mounted configuration is made of them. A dangling one matters only if it is a manifest.
        let Ok(found) = fs::metadata(&path) else {
            if is_manifest {
                return Err(LoadError::Missing(path));
            }
            continue;
        };
        if found.is_dir() {
            match recursion {
                Recursion::Flat => left_out = true,
                Recursion::Deep => {
                    gather(&path, recursion, depth + 1, root, files)?;
                }
            }
        } else if is_manifest {
            if files.len() >= MAX_FILES {
                return Err(LoadError::TooMany(root.to_owned()));
            }
            files.push(path);
        }
    }
    Ok(left_out)
}

fn read_file(path: &Path, limits: &Limits) -> Result<SourceFile, LoadError> {
    let mut file = File::open(path).map_err(unreadable(path))?;
    read_source(&path.display().to_string(), path, &mut file, limits)
}

fn read_source(
    name: &str,
    path: &Path,
    from: &mut dyn Read,
    limits: &Limits,
) -> Result<SourceFile, LoadError> {
    let limit = limits.max_source_bytes;
    let mut bytes = Vec::new();
    from.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(unreadable(path))?;
    if bytes.len() > limit {
        return Err(LoadError::TooLarge { name: name.to_owned(), limit });
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(SourceFile { name: name.to_owned(), text }),
        Err(error) => {
            let offset = error.utf8_error().valid_up_to();
            Err(LoadError::NotText(Box::new(not_utf8(name, error.as_bytes(), offset))))
        }
    }
}
