//! Lambda bodies that stand elsewhere: in a file beside the manifest, in a ConfigMap of the input.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use super::document::KeyedDocument;
use super::finding::shorten;
use super::read::MAX_FILE;
use super::resolve::{Everything, Problem};
use super::source::{Folders, SourceFile};
use super::values;
use crate::model::{ConfigMapKeyRef, LambdaSpec, Spec};

/// Gives every lambda its body, and judges by it.
pub fn fill(files: &[SourceFile], everything: &mut Everything) {
    let mut problems = Vec::new();
    let mut referred = Vec::new();
    let maps = index(&everything.config_maps);
    for (number, (object, origin)) in everything.objects.iter_mut().enumerate() {
        let Spec::Lambda(spec) = &object.spec else { continue };
        let folders = files.get(origin.file).and_then(|file| file.folders.as_ref());
        let body = match (&spec.body, &spec.body_file, &spec.body_from) {
            (Some(body), _, _) => Ok(Some(body.clone())),
            (None, Some(path), _) => from_file(path, folders).map(Some),
            (None, None, Some(source)) => {
                let reference = &source.config_map_key_ref;
                let found = maps.get(&(&*object.address.namespace, reference.name.as_str()));
                referred.extend(found.into_iter().flatten().copied());
                from_config_map(&everything.config_maps, found, reference).map(Some)
            }
            (None, None, None) => Ok(None),
        };
        match body {
            Ok(body) => {
                problems.extend(body.as_ref().and_then(|body| judge(number, spec, body)));
                object.lambda_body = body;
            }
            Err(problem) => problems.push(Problem { object: number, ..problem }),
        }
    }
    for number in referred {
        if let Some(map) = everything.config_maps.get_mut(number) {
            everything.found.extend(map.findings.drain(..).map(|finding| (map.origin.file, finding)));
            everything.referred_config_maps.insert(number);
        }
    }
    everything.problems.extend(problems);
}

/// Documents by namespace and name.
fn index<T>(documents: &[KeyedDocument<T>]) -> BTreeMap<(&str, &str), Vec<usize>> {
    let mut index: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (number, document) in documents.iter().enumerate() {
        index.entry((&document.namespace, &document.name)).or_default().push(number);
    }
    index
}

fn judge(number: usize, spec: &LambdaSpec, body: &str) -> Option<Problem> {
    if body.trim().is_empty() {
        // What stands in the manifest itself was judged there.
        if spec.body.is_some() {
            return None;
        }
        return Some(Problem::error(number, "invalid-value", pointer(spec), "the lambda's body is empty"));
    }
    let name = spec.lambda_type?.function_name();
    if values::defines_function(body, name) {
        return None;
    }
    let message =
        format!("FusionAuth calls `{name}` in a lambda of this type, but the body defines no such function");
    Some(
        Problem::warning(number, "function-name", pointer(spec), message)
            .hint(format!("function {name}(…) {{ … }}")),
    )
}

fn pointer(spec: &LambdaSpec) -> &'static str {
    match (&spec.body, &spec.body_file) {
        (Some(_), _) => "/spec/body",
        (None, Some(_)) => "/spec/bodyFile",
        (None, None) => "/spec/bodyFrom",
    }
}

/// Reads a body's file, which stays, symbolic links resolved, under the folder given with `-f`.
fn from_file(path: &str, folders: Option<&Folders>) -> Result<String, Problem> {
    let problem = |code, message: String| Problem::error(0, code, "/spec/bodyFile", message);
    let shown = shorten(path);
    let Some(folders) = folders else {
        let problem =
            problem("outside", "a manifest on standard input has no folder to read a file from".to_owned());
        return Err(problem.hint("write the text under `body`, or give the manifest as a file"));
    };
    let unreadable = |error: std::io::Error| match error.kind() {
        // "Entity not found", as the standard library says it, would mean something else here.
        std::io::ErrorKind::NotFound => problem("unreadable", format!("there is no file {shown}"))
            .hint("the path is relative to the manifest's own folder"),
        kind => problem("unreadable", format!("the file {shown} cannot be read: {kind}")),
    };
    let real = fs::canonicalize(folders.own.join(Path::new(path))).map_err(unreadable)?;
    if !real.starts_with(&folders.root) {
        let problem =
            problem("outside", format!("the file {shown} lies outside of the folder that was given with -f"));
        return Err(problem.hint("give the folder that holds both with -f"));
    }
    if !real.is_file() {
        return Err(problem("unreadable", format!("{shown} is no regular file")));
    }
    let file = fs::File::open(&real).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(problem("too-large", format!("the file {shown} is larger than {} MiB", MAX_FILE >> 20)));
    }
    String::from_utf8(bytes).map_err(|_| problem("encoding", format!("the file {shown} is not UTF-8")))
}

fn from_config_map(
    maps: &[KeyedDocument<String>],
    found: Option<&Vec<usize>>,
    reference: &ConfigMapKeyRef,
) -> Result<String, Problem> {
    let problem =
        |field: &'static str, message: String| Problem::error(0, "unresolved-reference", field, message);
    let name = shorten(&reference.name);
    let numbers = found.map(Vec::as_slice).unwrap_or_default();
    let [number] = numbers else {
        let pointer = "/spec/bodyFrom/configMapKeyRef/name";
        return Err(if numbers.is_empty() {
            problem(pointer, format!("no ConfigMap \"{name}\" is in the input"))
                .hint("a v1/ConfigMap of the lambda's own namespace, given with -f")
        } else {
            Problem {
                code: "ambiguous-reference",
                ..problem(pointer, format!("{} ConfigMaps \"{name}\" are in the input", numbers.len()))
            }
        });
    };
    let values = maps.get(*number).map(|map| &map.values);
    values.and_then(|values| values.get(&reference.key)).cloned().ok_or_else(|| {
        let key = shorten(&reference.key);
        // Each lambda may ask.
        const MOST_KEYS: usize = 20;
        let near = values
            .filter(|values| values.len() <= MOST_KEYS)
            .and_then(|values| super::nearest(&reference.key, values.keys().map(String::as_str)));
        let problem = problem(
            "/spec/bodyFrom/configMapKeyRef/key",
            format!("the ConfigMap \"{name}\" has no key \"{key}\""),
        );
        match near {
            Some(near) => problem.hint(format!("did you mean \"{near}\"?")),
            None => problem,
        }
    })
}
