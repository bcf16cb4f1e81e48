//! Which files the manifests are, and their text. Knows files, not what is in them.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::diagnostic::Diagnostic;
use super::source::{Folders, SourceFile};
use super::yaml::{self, Format};
use crate::model::Place;

/// The largest file that is read, in bytes.
pub const MAX_FILE: u64 = 64 << 20;

/// Standard input, as a path.
pub const STANDARD_INPUT: &str = "-";

/// Reads all files that `paths` name, in a fixed order: as given, folders by name.
pub fn files(paths: &[PathBuf], recursive: bool) -> (Vec<SourceFile>, Vec<Diagnostic>) {
    let mut listing = Listing { recursive, ..Listing::default() };
    for path in paths {
        listing.given(path);
    }
    let mut files = Vec::new();
    let mut diagnostics = listing.diagnostics;
    for found in listing.found {
        match read(&found) {
            Ok(file) => files.push(file),
            Err(diagnostic) => diagnostics.push(*diagnostic),
        }
    }
    (files, diagnostics)
}

/// A file to be read.
struct Found {
    path: PathBuf,
    folders: Option<Folders>,
}

#[derive(Default)]
struct Listing {
    recursive: bool,
    found: Vec<Found>,
    diagnostics: Vec<Diagnostic>,
    /// Files and folders that are listed already, symbolic links resolved.
    seen: HashSet<PathBuf>,
}

impl Listing {
    /// A path of the command line.
    fn given(&mut self, path: &Path) {
        if path.as_os_str() == STANDARD_INPUT {
            if self.seen.insert(path.to_owned()) {
                self.found.push(Found { path: path.to_owned(), folders: None });
            }
            return;
        }
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            // What a shell's `<(…)` opens has no other name.
            Err(_) if is_descriptor(path) => {
                return self.found.push(Found { path: path.to_owned(), folders: None });
            }
            Err(error) => return self.diagnostics.push(unreadable(path, &error)),
        };
        if real.is_dir() {
            return self.folder(path, &real, &real);
        }
        // A pipe to which nobody writes would be waited for without end.
        if !real.is_file() && !real.starts_with("/dev") {
            let diagnostic = error(path, "unreadable", "this is no regular file");
            return self.diagnostics.push(diagnostic.hint("read a pipe as standard input: -f -"));
        }
        let own = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        match fs::canonicalize(&own) {
            Ok(root) => self.file(path, real, Folders { own, root }),
            Err(error) => self.diagnostics.push(unreadable(path, &error)),
        }
    }

    fn file(&mut self, path: &Path, real: PathBuf, folders: Folders) {
        if self.seen.insert(real) {
            self.found.push(Found { path: path.to_owned(), folders: Some(folders) });
        }
    }

    /// The manifests of a folder by name, its folders after its files; hidden ones are left out.
    fn folder(&mut self, path: &Path, real: &Path, root: &Path) {
        if !self.seen.insert(real.to_owned()) {
            return;
        }
        let mut entries: Vec<PathBuf> =
            match fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
                Ok(entries) => entries.into_iter().map(|entry| entry.path()).collect(),
                Err(error) => return self.diagnostics.push(unreadable(path, &error)),
            };
        entries.sort();
        let mut folders = Vec::new();
        for entry in entries.into_iter().filter(|entry| !is_hidden(entry)) {
            match fs::canonicalize(&entry) {
                Ok(real) if real.is_dir() => folders.push((entry, real)),
                Ok(real) if is_manifest(&entry) => self.entry(&entry, real, root),
                Err(error) if is_manifest(&entry) => self.diagnostics.push(unreadable(&entry, &error)),
                _ => {}
            }
        }
        if !self.recursive {
            return;
        }
        for (path, real) in folders {
            if real.starts_with(root) {
                self.folder(&path, &real, root);
            } else {
                self.diagnostics.push(outside(&path));
            }
        }
    }

    /// A file of a folder. Links must stay in it: else a pull request could have any file of the runner's read, and
    /// shown in an error.
    fn entry(&mut self, path: &Path, real: PathBuf, root: &Path) {
        if !real.starts_with(root) {
            return self.diagnostics.push(outside(path));
        }
        if !real.is_file() {
            return self.diagnostics.push(error(path, "unreadable", "this is no regular file"));
        }
        let own = path.parent().map(Path::to_owned).unwrap_or_default();
        self.file(path, real, Folders { own, root: root.to_owned() });
    }
}

/// Whether a path names an open file of this process.
fn is_descriptor(path: &Path) -> bool {
    ["/dev/stdin", "/dev/fd", "/proc/self/fd"].iter().any(|folder| path.starts_with(folder))
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
}

fn error(path: &Path, code: &'static str, message: impl Into<String>) -> Diagnostic {
    let file = path.to_string_lossy().as_ref().into();
    Diagnostic::error(code, message).at(Place { file, line: 1, column: 1 })
}

fn unreadable(path: &Path, cause: &io::Error) -> Diagnostic {
    error(path, "unreadable", format!("cannot be read: {cause}"))
}

fn outside(path: &Path) -> Diagnostic {
    error(path, "outside", "this link leads out of the folder that was given")
        .hint("give the folder it leads to with -f as well")
}

/// Reads a file whole; refused before reading when it is too large.
fn read(found: &Found) -> Result<SourceFile, Box<Diagnostic>> {
    let path = &found.path;
    let nameless = found.folders.is_none();
    let too_large = || {
        let message = format!("larger than {} MiB", MAX_FILE >> 20);
        Box::new(error(path, "too-large", message).hint("split it into several files"))
    };
    let bytes = if path.as_os_str() == STANDARD_INPUT {
        read_bytes(io::stdin().lock())
    } else {
        let file = File::open(path).map_err(|error| Box::new(unreadable(path, &error)))?;
        if file.metadata().is_ok_and(|metadata| metadata.len() > MAX_FILE) {
            return Err(too_large());
        }
        read_bytes(file)
    };
    let bytes = bytes.map_err(|error| Box::new(unreadable(path, &error)))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(too_large());
    }
    let text = String::from_utf8(bytes)
        .map_err(|error| Box::new(not_utf8(path, error.as_bytes(), error.utf8_error().valid_up_to())))?;
    let json = path.extension().is_some_and(|extension| extension == "json") || (nameless && is_json(&text));
    let format = if json { Format::Json } else { Format::Yaml };
    Ok(SourceFile::new(&path.to_string_lossy(), found.folders.clone(), format, text))
}

/// A file that was read before.
pub fn again(path: &Path) -> Option<SourceFile> {
    let own = path.parent().map(Path::to_owned).unwrap_or_default();
    let folders = Folders { root: own.clone(), own };
    read(&Found { path: path.to_owned(), folders: Some(folders) }).ok()
}

fn read_bytes(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Standard input and pipes have no extension: it is JSON when it begins like JSON and is read as such to its end.
fn is_json(text: &str) -> bool {
    if !text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']).starts_with(['{', '[']) {
        return false;
    }
    let mut complete = true;
    yaml::read(Format::Json, text, 0..text.len(), &mut |document| complete &= document.complete);
    complete
}

fn not_utf8(path: &Path, bytes: &[u8], at: usize) -> Diagnostic {
    let before = bytes.get(..at).unwrap_or_default();
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let last = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let column = 1 + String::from_utf8_lossy(last).chars().count();
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let place =
        Place { file: path.to_string_lossy().as_ref().into(), line: number(line), column: number(column) };
    let utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    let message = if utf16 { "this is UTF-16, not UTF-8" } else { "this is not UTF-8" };
    Diagnostic::error("encoding", message).at(place).hint("save the file as UTF-8")
}
