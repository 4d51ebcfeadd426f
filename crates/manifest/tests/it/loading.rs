//! Sources are read in a fixed order, and what cannot be read is said plainly.

use std::fs;
use std::path::{Path, PathBuf};

use drover_manifest::{Diagnostic, Limits, LoadError, Recursion, SourceFile, load_paths};

fn load(paths: &[&Path], recursion: Recursion, stdin: &str) -> Result<Vec<SourceFile>, LoadError> {
    let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
    load_paths(&paths, recursion, &mut stdin.as_bytes(), &Limits::default())
}

fn folder(files: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for file in files {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, format!("# {file}\n")).expect("a file");
    }
    dir
}

fn names(sources: &[SourceFile]) -> Vec<&str> {
    sources.iter().map(|source| source.text.trim_start_matches("# ").trim_end()).collect()
}

#[test]
fn a_folder_is_read_in_the_order_of_its_names() {
    let dir = folder(&["b.yml", "a.yaml", "c.json", "d.txt", ".e.yaml", "sub/f.yaml", ".git/g.yaml"]);
    let flat = load(&[dir.path()], Recursion::Flat, "").expect("sources");
    assert_eq!(names(&flat), ["a.yaml", "b.yml", "c.json"]);
    let deep = load(&[dir.path()], Recursion::Deep, "").expect("sources");
    assert_eq!(names(&deep), ["a.yaml", "b.yml", "c.json", "sub/f.yaml"]);
    let given = load(&[&dir.path().join("d.txt"), Path::new("-")], Recursion::Flat, "# in").expect("sources");
    assert_eq!(names(&given), ["d.txt", "in"]);
    assert_eq!(given[1].name, "<stdin>");
}

#[test]
fn what_cannot_be_read_is_said_plainly() {
    let dir = folder(&["sub/f.yaml", "empty/x.txt", "bad.yaml"]);
    fs::write(dir.path().join("bad.yaml"), b"a: \xff").expect("a file");
    let sub = dir.path().join("none.yaml");
    let said =
        |path: &Path| Diagnostic::from(load(&[path], Recursion::Flat, "").expect_err("an error")).to_string();
    assert_eq!(said(&sub), format!("{}: error: no such file or folder", sub.display()));
    assert!(said(&dir.path().join("empty")).contains("the folder holds no *.yaml"));
    assert!(
        said(&dir.path().join("bad.yaml")).contains("bad.yaml:1:4: error: not UTF-8: byte 0xff at offset 3")
    );
    fs::remove_file(dir.path().join("bad.yaml")).expect("removed");
    assert!(said(dir.path()).contains("--recursive"));
    assert!(matches!(load(&[], Recursion::Flat, ""), Err(LoadError::Nothing)));
    let twice = load(&[Path::new("-"), Path::new("-")], Recursion::Flat, "");
    assert!(matches!(twice, Err(LoadError::StdinTwice)));
}

#[test]
fn a_source_without_end_is_cut_off_at_the_limit() {
    let limits = Limits { max_source_bytes: 1000, ..Limits::default() };
    let read = load_paths(&[PathBuf::from("-")], Recursion::Flat, &mut std::io::repeat(b'#'), &limits);
    assert!(matches!(read, Err(LoadError::TooLarge { limit: 1000, .. })));
}

#[test]
fn a_loop_of_links_ends() {
    let dir = folder(&["a.yaml"]);
    std::os::unix::fs::symlink(dir.path(), dir.path().join("again")).expect("a link");
    assert!(matches!(load(&[dir.path()], Recursion::Deep, ""), Err(LoadError::TooDeep(_))));
}
