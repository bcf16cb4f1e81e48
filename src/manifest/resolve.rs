//! What only all manifests together can tell: names that lead nowhere, the same thing declared twice.

mod data;
mod duplicates;
mod index;
mod references;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;

use secrecy::SecretSlice;

use super::diagnostic::{Diagnostic, Severity};
use super::document::{KeyedDocument, Origin};
use super::finding::Finding;
use super::input::{Input, Instance, Object};
use super::locate::locate;
use super::source::SourceFile;
use crate::model::Address;

/// All that was read, before it is known to be good.
#[derive(Debug, Default)]
pub struct Everything {
    pub objects: Vec<(Object, Origin)>,
    pub instances: Vec<(Instance, Origin)>,
    pub secrets: Vec<KeyedDocument<SecretSlice<u8>>>,
    pub config_maps: Vec<KeyedDocument<String>>,
    /// Declared, but not readable: what refers to them is not wrong for that.
    pub broken: HashSet<Address>,
    pub passed_over: usize,
    pub problems: Vec<Problem>,
    /// What is wrong with the form of Secrets and ConfigMaps that something refers to, by file.
    pub found: Vec<(usize, Finding)>,
    pub referred_secrets: BTreeSet<usize>,
    pub referred_config_maps: BTreeSet<usize>,
}

/// Something wrong with one object or instance in the company of others.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The position among the objects, or among the instances.
    pub object: usize,
    pub of_instance: bool,
    pub severity: Severity,
    pub code: &'static str,
    /// A JSON pointer into the document.
    pub pointer: String,
    pub message: String,
    pub hint: Option<String>,
}

impl Problem {
    pub fn error(
        object: usize,
        code: &'static str,
        pointer: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        let (pointer, message) = (pointer.into(), message.into());
        Problem { object, of_instance: false, severity: Severity::Error, code, pointer, message, hint: None }
    }

    pub fn warning(
        object: usize,
        code: &'static str,
        pointer: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Problem { severity: Severity::Warning, ..Problem::error(object, code, pointer, message) }
    }

    pub fn hint(self, hint: impl Into<String>) -> Self {
        Problem { hint: Some(hint.into()), ..self }
    }
}

/// Resolves names among the manifests and finds what is declared twice.
pub fn resolve(everything: &mut Everything) {
    let mut problems = Vec::new();
    let index = index::Index::new(everything);
    references::check(everything, &index, &mut problems);
    duplicates::check(everything, &index, &mut problems);
    data::check(everything, &index, &mut problems);
    let referred = references::secrets(everything);
    let mut names = HashSet::new();
    for number in referred {
        if let Some(secret) = everything.secrets.get_mut(number)
            && !names.insert((secret.namespace.clone(), secret.name.clone()))
        {
            let message = format!("the Secret \"{}\" is in the input twice", secret.name);
            let at = secret.origin.at;
            secret.findings.push(Finding::error("duplicate", message, at, 1));
        }
        if let Some(secret) = everything.secrets.get_mut(number) {
            let file = secret.origin.file;
            everything.found.extend(secret.findings.drain(..).map(|finding| (file, finding)));
            everything.referred_secrets.insert(number);
        }
    }
    everything.problems.extend(problems);
}

/// Problems of one part of a file: where its declarations begin, with the problem.
type Asked = BTreeMap<(usize, usize, usize), Vec<(usize, Address, Problem)>>;

impl Everything {
    /// The problems at their places, by file. Only here are documents read a second time.
    pub fn take_findings(&mut self, files: &[SourceFile]) -> Vec<Vec<(Finding, Option<Address>)>> {
        let mut findings: Vec<Vec<(Finding, Option<Address>)>> = files.iter().map(|_| Vec::new()).collect();
        let mut asked: Asked = BTreeMap::new();
        for problem in std::mem::take(&mut self.problems) {
            let subject = if problem.of_instance {
                self.instances.get(problem.object).map(|(instance, origin)| (&instance.address, origin))
            } else {
                self.objects.get(problem.object).map(|(object, origin)| (&object.address, origin))
            };
            if let Some((address, origin)) = subject {
                let part = (origin.file, origin.part.start, origin.part.end);
                asked.entry(part).or_default().push((origin.at, address.clone(), problem));
            }
        }
        for ((file, start, end), problems) in asked {
            let (Some(source), Some(findings)) = (files.get(file), findings.get_mut(file)) else { continue };
            let questions: Vec<(usize, &str)> =
                problems.iter().map(|(at, _, problem)| (*at, problem.pointer.as_str())).collect();
            let places = locate(source, &Range { start, end }, &questions);
            for ((at, length), (_, address, problem)) in places.into_iter().zip(problems) {
                let Problem { severity, code, message, hint, .. } = problem;
                let finding = Finding { severity, hint, ..Finding::error(code, message, at, length) };
                findings.push((finding, Some(address)));
            }
        }
        for (file, finding) in std::mem::take(&mut self.found) {
            if let Some(findings) = findings.get_mut(file) {
                findings.push((finding, None));
            }
        }
        findings
    }

    /// What is left when nothing is wrong.
    pub fn into_input(self, warnings: Vec<Diagnostic>) -> Input {
        let unused = |count: usize, referred: &BTreeSet<usize>| count - referred.len();
        let passed_over = self.passed_over
            + unused(self.secrets.len(), &self.referred_secrets)
            + unused(self.config_maps.len(), &self.referred_config_maps);
        let secrets = self.secrets.into_iter().filter(|secret| secret.findings.is_empty());
        Input {
            objects: self.objects.into_iter().map(|(object, _)| object).collect(),
            instances: self.instances.into_iter().map(|(instance, _)| instance).collect(),
            secrets: secrets.map(|secret| ((secret.namespace, secret.name), secret.values)).collect(),
            passed_over,
            warnings,
            standard_input: None,
        }
    }
}
