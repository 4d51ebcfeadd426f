//! Packages unpacked into a folder: nothing of them is installed into the machine, and none of their services starts.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A program in its folder.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    pub(crate) root: PathBuf,
    pub(crate) version: String,
}

impl Installed {
    /// One of its programs, with its own libraries and programs found before the machine's.
    pub(crate) fn command(&self, program: &str) -> Result<Command> {
        let path = self.program(program)?;
        let mut command = Command::new(path);
        self.environment(&mut command);
        Ok(command)
    }

    pub(crate) fn program(&self, program: &str) -> Result<PathBuf> {
        let places = ["usr/bin", "usr/sbin", "bin", "sbin"];
        let found = places.iter().map(|place| self.root.join(place).join(program)).find(|path| path.exists());
        found.with_context(|| format!("the package has no {program}"))
    }

    pub(crate) fn environment(&self, command: &mut Command) {
        let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
        let join = |places: &[&str]| -> String {
            let joined: Vec<String> =
                places.iter().map(|place| self.root.join(place).to_string_lossy().into_owned()).collect();
            joined.join(":")
        };
        let libraries = join(&[&format!("usr/lib/{triplet}"), &format!("lib/{triplet}"), "usr/lib"]);
        let programs = join(&["usr/bin", "usr/sbin", "bin", "sbin"]);
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env("LD_LIBRARY_PATH", libraries)
            .env("PATH", format!("{programs}:{path}"))
            .env("PYTHONPATH", self.root.join("usr/lib/python3/dist-packages"));
    }
}

/// Debian packages.
pub(crate) struct Apt {
    dir: PathBuf,
}

impl Apt {
    /// Reads the lists of packages.
    pub(crate) fn new(dir: &Path) -> Result<Self> {
        run(Command::new("apt-get").args(["update", "-q"]))?;
        Ok(Self { dir: dir.join("apt") })
    }

    /// Downloads a package and what it needs that the machine lacks, and unpacks all of it.
    pub(crate) fn get(&self, package: &str) -> Result<Installed> {
        let (root, archives) = (self.dir.join(package), self.dir.join(format!("{package}.archives")));
        std::fs::create_dir_all(archives.join("partial"))?;
        std::fs::create_dir_all(&root)?;
        run(Command::new("apt-get")
            .args(["install", "-y", "-q", "--reinstall", "--download-only", "--no-install-recommends", "-o"])
            .arg(format!("Dir::Cache::archives={}", archives.display()))
            .arg(package))?;
        let mut version = None;
        for entry in std::fs::read_dir(&archives)?.flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|extension| extension != "deb") {
                continue;
            }
            run(Command::new("dpkg-deb").arg("-x").arg(&path).arg(&root))?;
            if entry.file_name().to_string_lossy().starts_with(&format!("{package}_")) {
                version = Some(run(Command::new("dpkg-deb").arg("-f").arg(&path).arg("Version"))?);
            }
        }
        let version = version.with_context(|| format!("no archive of {package} came"))?;
        Ok(Installed { root, version: format!("{} (Debian)", version.trim()) })
    }
}

/// An npm package, in a folder of its own. Its root is the folder that `node_modules` is in.
pub(crate) fn npm(dir: &Path, package: &str) -> Result<Installed> {
    let root = dir.join("npm");
    std::fs::create_dir_all(&root)?;
    run(Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--prefix"])
        .arg(&root)
        .arg(package))?;
    let about = std::fs::read_to_string(root.join(format!("node_modules/{package}/package.json")))?;
    let about: serde_json::Value = serde_json::from_str(&about)?;
    Ok(Installed { root, version: format!("{} (npm)", about["version"].as_str().unwrap_or("?")) })
}

fn run(command: &mut Command) -> Result<String> {
    let output = command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(std::process::Stdio::null())
        .output()
        .with_context(|| format!("starting {:?}", command.get_program()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{:?} failed: {}", command.get_program(), said.lines().last().unwrap_or_default());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
