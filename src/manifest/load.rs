//! Reading: files to typed objects, all in parallel, and then what only all of them together can tell.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::diagnostic::{Diagnostic, sort};
use super::document::{self, Batch};
use super::finding::Finding;
use super::input::{Input, StandardInput};
use super::resolve::{self, Everything};
use super::source::SourceFile;
use super::{bodies, locate, read};
use crate::model::Address;

/// Bytes of manifests that are handed to a thread at a time.
const SHARE: usize = 256 << 10;

/// What is wrong with a file, and how much more there was.
type FileFindings = (Vec<(Finding, Option<Address>)>, usize);

/// What is read, and how.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Read folders within folders (`-R`).
    pub recursive: bool,
    /// Go on when there is nothing of ours in the input.
    pub allow_empty: bool,
    /// `v1/Secret`s and `v1/ConfigMap`s alone are an input too.
    pub values_suffice: bool,
}

/// Why there is no input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// There is nothing of ours in the input: refused, exit status 3.
    Empty { message: String, hint: String },
    /// What is wrong with it, in the order of files and lines; warnings too.
    Invalid(Vec<Diagnostic>),
}

impl fmt::Display for LoadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Empty { message, .. } => formatter.write_str(message),
            LoadError::Invalid(diagnostics) => {
                let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
                write!(
                    formatter,
                    "{errors} {} in the manifests",
                    if errors == 1 { "error" } else { "errors" }
                )
            }
        }
    }
}

impl std::error::Error for LoadError {}

/// Reads and judges all manifests that `paths` name: files, folders, `-` for standard input.
///
/// # Errors
/// Nothing of ours is there, or something is wrong: then all that is wrong is told.
pub fn load(paths: &[PathBuf], options: &LoadOptions) -> Result<Input, LoadError> {
    let (files, diagnostics) = read::files(paths, options.recursive);
    let mut input = load_files(&files, diagnostics, options)?;
    if input.secrets.is_empty() {
        let standard_input = files.into_iter().find(|file| &*file.name == read::STANDARD_INPUT);
        input.standard_input = standard_input.map(StandardInput);
    }
    Ok(input)
}

/// Judges files that were read.
pub(super) fn load_files(
    files: &[SourceFile],
    mut diagnostics: Vec<Diagnostic>,
    options: &LoadOptions,
) -> Result<Input, LoadError> {
    let mut findings: Vec<FileFindings> = files.iter().map(|_| (Vec::new(), 0)).collect();
    let mut everything = Everything::default();
    let mut ours = 0;
    let mut operator_fields: BTreeMap<&'static str, usize> = BTreeMap::new();
    for (file, batch) in read_all(files) {
        if let Some((findings, more)) = findings.get_mut(file) {
            findings.extend(batch.findings);
            *more += batch.more_findings;
        }
        ours += batch.ours;
        for (field, count) in batch.operator_fields {
            *operator_fields.entry(field).or_default() += count;
        }
        everything.objects.extend(batch.objects);
        everything.instances.extend(batch.instances);
        everything.secrets.extend(batch.secrets);
        everything.config_maps.extend(batch.config_maps);
        everything.broken.extend(batch.broken);
        everything.passed_over += batch.passed_over;
    }
    if ours == 0
        && diagnostics.is_empty()
        && findings.iter().all(|(findings, _)| findings.is_empty())
        && !options.allow_empty
        && !(options.values_suffice && (everything.secrets.len() + everything.config_maps.len() > 0))
    {
        return Err(empty(files.len(), everything.passed_over));
    }
    bodies::fill(files, &mut everything);
    resolve::resolve(&mut everything);
    for (file, found) in everything.take_findings(files).into_iter().enumerate() {
        if let Some((findings, _)) = findings.get_mut(file) {
            findings.extend(found);
        }
    }
    for (file, (findings, more)) in files.iter().zip(findings) {
        diagnostics.extend(file.diagnostics(findings, more));
    }
    diagnostics.extend(operator_fields.into_iter().map(|(field, count)| operator_field(field, count)));
    sort(&mut diagnostics);
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(LoadError::Invalid(diagnostics));
    }
    Ok(everything.into_input(diagnostics))
}

fn empty(files: usize, passed_over: usize) -> LoadError {
    let message = match (files, passed_over) {
        (0, _) => "no manifests: no file was given or found".to_owned(),
        (_, 0) => "no manifests: the input is empty".to_owned(),
        (_, 1) => "no manifests of fusionkeep.dev: 1 document of others was passed over".to_owned(),
        (_, others) => {
            format!("no manifests of fusionkeep.dev: {others} documents of others were passed over")
        }
    };
    let hint = "name files or folders with -f (-R for folders within), or say --allow-empty".to_owned();
    LoadError::Empty { message, hint }
}

fn operator_field(field: &str, count: usize) -> Diagnostic {
    let objects = if count == 1 { "manifest says" } else { "manifests say" };
    Diagnostic::warning(
        "operator-only",
        format!("{count} {objects} `{field}`, which only the operator heeds"),
    )
    .hint("the command treats every difference as a change and applies what its plan shows")
}

/// Reads all documents, in the order of the files.
fn read_all(files: &[SourceFile]) -> Vec<(usize, Batch)> {
    let mut shares: Vec<(usize, Vec<Range<usize>>)> = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let mut share: Vec<Range<usize>> = Vec::new();
        let mut size = 0;
        for part in locate::parts(file) {
            size += part.len();
            share.push(part);
            if size >= SHARE {
                shares.push((index, std::mem::take(&mut share)));
                size = 0;
            }
        }
        if !share.is_empty() {
            shares.push((index, share));
        }
    }
    let batches: Mutex<Vec<(usize, usize, Batch)>> = Mutex::new(Vec::with_capacity(shares.len()));
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some((index, parts)) = shares.get(number) else { return };
            let Some(file) = files.get(*index) else { return };
            let batch = document::read(file, *index, parts);
            let mut batches = batches.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            batches.push((number, *index, batch));
        }
    };
    let threads = thread::available_parallelism().map_or(1, |count| count.get()).min(shares.len());
    if threads <= 1 {
        work();
    } else {
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
    }
    let mut batches = batches.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    batches.sort_by_key(|(number, _, _)| *number);
    batches.into_iter().map(|(_, index, batch)| (index, batch)).collect()
}
