//! One document after the other: which are ours, what they say as typed objects, and all that is wrong with them.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretSlice;
use serde::Deserialize;

use super::de::{self, Context, ReadError};
use super::explain::explain;
use super::finding::{Finding, Hide, shorten};
use super::header::{self, Class, Header};
use super::input::{Instance, Object};
use super::judge::{self, Verdict};
use super::locate::{point, stands};
use super::schema;
use super::source::{Locator, MOST_DIAGNOSTICS, SourceFile};
use super::yaml::{self, Document, Value, View};
use crate::model::{
    Address, ApprovalMode, ClusterFusionAuthInstanceSpec, DEFAULT_NAMESPACE, Drift, FusionAuthInstanceSpec,
    InstanceAllow, Kind, PlanApprovalSpec, Spec,
};

/// Where a declaration was read, to find its fields again when something is wrong with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file, by its position among those that were read.
    pub file: usize,
    /// The part of the file that the document stands in.
    pub part: Range<usize>,
    /// The byte offset at which its mapping begins.
    pub at: usize,
}

/// A `v1/Secret` or `v1/ConfigMap`.
#[derive(Debug)]
pub struct KeyedDocument<T> {
    pub namespace: String,
    pub name: String,
    pub values: BTreeMap<String, T>,
    /// What is wrong with its form; it counts when something refers to it.
    pub findings: Vec<Finding>,
    pub origin: Origin,
}

/// What was read of a part of a file.
#[derive(Debug, Default)]
pub struct Batch {
    pub objects: Vec<(Object, Origin)>,
    pub instances: Vec<(Instance, Origin)>,
    pub secrets: Vec<KeyedDocument<SecretSlice<u8>>>,
    pub config_maps: Vec<KeyedDocument<String>>,
    /// Documents of others.
    pub passed_over: usize,
    /// Documents of ours, good or bad.
    pub ours: usize,
    pub findings: Vec<(Finding, Option<Address>)>,
    /// How many findings there were beside `findings`.
    pub more_findings: usize,
    /// Objects that are declared, but not readable.
    pub broken: Vec<Address>,
    /// How many declarations have each of the operator's own fields.
    pub operator_fields: BTreeMap<&'static str, usize>,
}

/// Reads parts of one file.
pub struct Reader<'f> {
    file: &'f SourceFile,
    index: usize,
    locator: Locator<'f>,
    part: Range<usize>,
    batch: Batch,
}

/// What one document holds beside findings.
#[derive(Default)]
struct Content {
    ours: bool,
    secrets: Range<usize>,
    config_maps: Range<usize>,
    /// Parts of the file that may not be quoted.
    hidden: Vec<Range<usize>>,
}

/// One of our documents.
#[derive(Clone, Copy)]
struct Subject<'t> {
    kind: Kind,
    root: Value<'t>,
    /// An item of a list of one kind, which may leave out what it is.
    headless: bool,
    /// Where faults stand in the document.
    faults: &'t HashSet<usize>,
}

enum Body {
    Object(Spec),
    Instance(Box<FusionAuthInstanceSpec>, Vec<InstanceAllow>),
    Approval,
}

/// Reads the documents of `parts`, which follow each other in `file`.
pub fn read(file: &SourceFile, index: usize, parts: &[Range<usize>]) -> Batch {
    let locator = Locator::new(file);
    let mut reader = Reader { file, index, locator, part: 0..0, batch: Batch::default() };
    for part in parts {
        reader.part = part.clone();
        yaml::read(file.format, &file.text, part.clone(), &mut |document| reader.document(document));
    }
    reader.batch
}

impl Reader<'_> {
    fn document(&mut self, document: Document<'_>) {
        let before = (self.batch.secrets.len(), self.batch.config_maps.len());
        let mut content = Content::default();
        if let Some(tree) = &document.tree {
            let root = tree.root();
            match root.view() {
                View::Null => {}
                View::Mapping(_) if document.complete => {
                    let faults = document.faults.iter().map(|fault| fault.at).collect();
                    self.mapping(root, None, &faults, &mut content);
                }
                View::Mapping(_) => self.beginning(root, &mut content),
                View::Invalid => content.ours = true,
                _ if document.complete => {
                    let message = format!("a document is a mapping, but this is {}", root.kind_name());
                    self.push(
                        Finding::error("not-a-mapping", message, root.at(), root.written().len().max(1)),
                        None,
                    );
                }
                _ => {}
            }
        }
        content.secrets = before.0..self.batch.secrets.len();
        content.config_maps = before.1..self.batch.config_maps.len();
        self.faults(&document, &content);
    }

    /// Puts faults where they belong: fatal ones count everywhere, others in what is ours or referred to.
    fn faults(&mut self, document: &Document<'_>, content: &Content) {
        let file = self.file;
        for fault in &document.faults {
            let hidden = content.hidden.iter().any(|range| range.contains(&fault.at));
            let written = file.written(fault.at, fault.length).filter(|_| !hidden);
            let finding = Finding::of_fault(fault, written, |at| file.line(at));
            let finding = if hidden { finding.hide(Hide::FromHere) } else { finding };
            if fault.kind.is_fatal() || content.ours {
                self.push(finding, None);
                continue;
            }
            for secret in self.batch.secrets.get_mut(content.secrets.clone()).unwrap_or_default() {
                secret.findings.push(finding.clone());
            }
            for config_map in self.batch.config_maps.get_mut(content.config_maps.clone()).unwrap_or_default()
            {
                config_map.findings.push(finding.clone());
            }
        }
        if document.more_faults > 0 && content.ours {
            let message = format!("{} more errors in this document are not shown", document.more_faults);
            self.push(Finding::error("too-many", message, document.at, 1), None);
        }
    }

    fn push(&mut self, finding: Finding, address: Option<Address>) {
        if self.batch.findings.len() < MOST_DIAGNOSTICS {
            self.batch.findings.push((finding, address));
        } else {
            self.batch.more_findings += 1;
        }
    }

    /// A document that broke off: what it declares is known to be declared.
    fn beginning(&mut self, root: Value<'_>, content: &mut Content) {
        if let Ok(Class::Ours(kind)) = header::classify(root, None) {
            content.ours = true;
            self.batch.ours += 1;
            self.batch.broken.extend(address_of(kind, root));
        }
    }

    fn mapping(
        &mut self,
        root: Value<'_>,
        list: Option<Kind>,
        faults: &HashSet<usize>,
        content: &mut Content,
    ) {
        match header::classify(root, list) {
            Err(finding) => {
                content.ours = true;
                self.batch.ours += 1;
                self.push(finding, None);
            }
            Ok(Class::Ours(kind)) => {
                content.ours = true;
                self.batch.ours += 1;
                let subject = Subject { kind, root, headless: list.is_some(), faults };
                let hidden = self.ours(subject);
                content.hidden.extend(hidden);
            }
            Ok(Class::List(kind)) => self.list(root, kind, faults, content),
            Ok(Class::Secret) => {
                let secret = self.secret(root);
                self.batch.secrets.extend(secret);
            }
            Ok(Class::ConfigMap) => {
                let config_map = self.config_map(root);
                self.batch.config_maps.extend(config_map);
            }
            Ok(Class::Others) => self.batch.passed_over += 1,
        }
    }

    fn list(&mut self, root: Value<'_>, kind: Option<Kind>, faults: &HashSet<usize>, content: &mut Content) {
        let Some(items) = root.get("items").filter(|items| !items.is_null()) else { return };
        match items.items() {
            None => {
                let message = format!("`items` is a list, but this is {}", items.kind_name());
                self.push(Finding::error("wrong-type", message, items.at(), 1), None);
            }
            Some(list) => {
                for item in list {
                    if item.entries().is_some() {
                        self.mapping(item, kind, faults, content);
                    } else if self.batch.findings.len() >= MOST_DIAGNOSTICS {
                        self.batch.more_findings += 1;
                    } else if !matches!(item.view(), View::Invalid) {
                        let message =
                            format!("an item of a List is a mapping, but this is {}", item.kind_name());
                        self.push(
                            Finding::error("not-a-mapping", message, item.at(), item.written().len().max(1)),
                            None,
                        );
                    }
                }
            }
        }
    }

    /// One of our documents. Answers the parts of the file that may not be quoted.
    fn ours(&mut self, subject: Subject<'_>) -> Vec<Range<usize>> {
        let Subject { kind, root, .. } = subject;
        let mut findings = Vec::new();
        let header = header::read(kind, root, &mut findings);
        let context = Context::default();
        let body = read_body(kind, root.get("spec"), &context);
        let fits = header.is_some()
            && only_known_fields(root)
            && !context.unknown.get()
            && body.as_ref().is_ok_and(is_well_formed);
        let Partial { body, context, hidden } = match fits {
            true => Partial { body: body.ok(), context, hidden: Vec::new() },
            false => explained(subject, body, &mut findings),
        };
        let is_whole = context.made_up.is_empty();
        if let Some(body) = &body {
            let verdicts = body.verdicts(root.get("spec").unwrap_or(root)).into_iter();
            // What seems to be missing may only be what was left out as wrong.
            let verdicts = verdicts.filter(|verdict| fits || verdict.code != "missing-field");
            // Nor is anything said of what was made up.
            let verdicts = verdicts.filter(|verdict| is_whole || stands(root, &verdict.pointer, &context));
            findings.extend(verdicts.map(|verdict| found(root, verdict)));
        }
        let address = header.as_ref().map(|header| header.address.clone()).or_else(|| address_of(kind, root));
        let bad = findings.iter().any(|finding| finding.severity == super::Severity::Error);
        for finding in findings {
            self.push(finding, address.clone());
        }
        if !fits || bad {
            self.batch.broken.extend(address);
        }
        // What is wrong in itself may be wrong in company too: a name that leads nowhere, the same thing twice.
        if let (Some(header), Some(body), true) = (header, body, is_whole) {
            self.keep(header, body, root);
        }
        hidden
    }

    fn keep(&mut self, header: Header, body: Body, root: Value<'_>) {
        let kind_at = root.get("kind").map_or(root.at(), |kind| kind.at());
        let place = self.locator.place(kind_at);
        let origin = Origin { file: self.index, part: self.part.clone(), at: root.content_at() };
        body.count_operator_fields(&mut self.batch.operator_fields);
        match body {
            Body::Object(spec) => {
                let Header { address, labels, moved_from } = header;
                let object = Object { address, place, labels, moved_from, spec, lambda_body: None };
                self.batch.objects.push((object, origin));
            }
            Body::Instance(spec, allow) => {
                let instance = Instance { address: header.address, place, spec: *spec, allow };
                self.batch.instances.push((instance, origin));
            }
            // An approval speaks to the operator; the command has its own.
            Body::Approval => self.batch.passed_over += 1,
        }
    }

    fn keyed<T>(&self, root: Value<'_>) -> Option<KeyedDocument<T>> {
        let metadata = root.get("metadata")?;
        let name = metadata.get("name")?.as_text()?.to_owned();
        let namespace =
            metadata.get("namespace").and_then(|namespace| namespace.as_text()).unwrap_or(DEFAULT_NAMESPACE);
        let origin = Origin { file: self.index, part: self.part.clone(), at: root.content_at() };
        Some(KeyedDocument {
            namespace: namespace.to_owned(),
            name,
            values: BTreeMap::new(),
            findings: Vec::new(),
            origin,
        })
    }

    fn secret(&self, root: Value<'_>) -> Option<KeyedDocument<SecretSlice<u8>>> {
        let mut secret = self.keyed(root)?;
        if let Some(finding) = encrypted(root, "Secret") {
            secret.findings.push(finding);
            return Some(secret);
        }
        for (field, encoded) in [("data", true), ("stringData", false)] {
            texts(root, field, &mut secret.findings, |key, text, value| {
                let bytes = if encoded {
                    STANDARD.decode(text.split_whitespace().collect::<String>()).ok()
                } else {
                    Some(text.into())
                };
                match bytes {
                    Some(bytes) => {
                        secret.values.insert(key.to_owned(), SecretSlice::from(bytes));
                        None
                    }
                    None => {
                        let message = format!("the value of `{field}.{}` is no base64", shorten(key));
                        Some(
                            Finding::error("base64", message, value.at(), 1)
                                .hint("plain text goes under `stringData`")
                                .hide(Hide::FromHere),
                        )
                    }
                }
            });
        }
        Some(secret)
    }

    fn config_map(&self, root: Value<'_>) -> Option<KeyedDocument<String>> {
        let mut config_map = self.keyed(root)?;
        if let Some(finding) = encrypted(root, "ConfigMap") {
            config_map.findings.push(finding);
            return Some(config_map);
        }
        texts(root, "data", &mut config_map.findings, |key, text, _| {
            config_map.values.insert(key.to_owned(), text.to_owned());
            None
        });
        Some(config_map)
    }
}

/// Says all that does not fit, and reads what is left without it.
fn explained(subject: Subject<'_>, body: Result<Body, ReadError>, findings: &mut Vec<Finding>) -> Partial {
    let Subject { kind, root, headless, faults } = subject;
    let mut explanation = explain(kind, schema::of(kind), root);
    if headless {
        let head = ["`apiVersion` is missing", "`kind` is missing"];
        explanation.findings.retain(|finding| !head.contains(&&*finding.message));
    }
    let nothing_said = explanation.findings.is_empty() && findings.is_empty() && faults.is_empty();
    findings.extend(explanation.findings);
    if nothing_said {
        // Serde's message may quote the value, which may be a secret; what it expected is enough.
        let (at, expected) = match &body {
            Err(error) => {
                let expected = error.message.rsplit_once("expected ").map(|(_, expected)| expected);
                (error.at.unwrap_or(root.at()), expected.unwrap_or("another value"))
            }
            // Never to be taken without a word, whatever it is.
            Ok(_) => (root.at(), "what `fusionkeep explain` tells of this kind"),
        };
        let message = format!("this value does not fit: expected {expected}");
        findings.push(Finding::error("wrong-type", message, at, 1).hide(Hide::FromHere));
    }
    let skip = explanation.skip.iter().chain(faults).copied().collect();
    let mut context = Context { skip, ..Context::default() };
    let body = loop {
        match read_body(kind, root.get("spec"), &context) {
            Ok(body) => break Some(body),
            // What is missing is told; what else is wrong is to be told with it.
            Err(ReadError { at: Some(at), missing: Some(field), .. })
                if context.made_up.insert((at, field)) => {}
            Err(_) => break None,
        }
    };
    Partial { body, context, hidden: explanation.hidden }
}

/// What can be read of a document that does not fit.
struct Partial {
    body: Option<Body>,
    /// What was left out of the body as wrong, and what was made up in it.
    context: Context,
    /// Parts of the file that may not be quoted.
    hidden: Vec<Range<usize>>,
}

/// A document that SOPS encrypted: its values are ciphertext, which would be sent as if it were the secret.
fn encrypted(root: Value<'_>, kind: &str) -> Option<Finding> {
    let (key, value) = root.entry("sops")?;
    value.entries()?;
    let message = format!("this {kind} is still encrypted by SOPS");
    Some(
        Finding::error("encrypted", message, key.at(), "sops".len()).hint(
            "decrypt it first (`sops decrypt`), or leave it out: `validate` and `plan` need no secrets",
        ),
    )
}

/// The texts of a mapping of a Secret or ConfigMap; what is none is a finding.
fn texts(
    root: Value<'_>,
    field: &str,
    findings: &mut Vec<Finding>,
    mut take: impl FnMut(&str, &str, Value<'_>) -> Option<Finding>,
) {
    let Some(mapping) = root.get(field).filter(|value| !value.is_null()) else { return };
    let Some(entries) = mapping.entries() else {
        findings.push(
            Finding::error("wrong-type", format!("`{field}` is a mapping"), mapping.at(), 1)
                .hide(Hide::FromHere),
        );
        return;
    };
    for (key, value) in entries {
        let Some(name) = key.as_text() else { continue };
        if findings.len() >= MOST_DIAGNOSTICS {
            return;
        }
        match value.view() {
            View::Text(text) => findings.extend(take(name, text, value)),
            View::Null => findings.extend(take(name, "", value)),
            View::Invalid => {}
            _ => {
                let message = format!("the value of `{field}.{}` is a string", shorten(name));
                let finding = Finding::error("unquoted", message, value.at(), 1).hint("quote it");
                findings.push(finding.hide(Hide::FromHere));
            }
        }
    }
}

impl Body {
    fn verdicts(&self, spec: Value<'_>) -> Vec<Verdict> {
        match self {
            Body::Object(object) => judge::object(object, spec),
            Body::Instance(instance, allow) => judge::instance(instance, allow),
            Body::Approval => Vec::new(),
        }
    }

    fn count_operator_fields(&self, counts: &mut BTreeMap<&'static str, usize>) {
        let mut count = |field, there: bool| {
            if there {
                *counts.entry(field).or_default() += 1;
            }
        };
        match self {
            Body::Object(spec) => {
                let policy = spec.policy();
                count("policy.drift: Report", policy.drift.0 == Some(Drift::Report));
                count("policy.approval: Manual", policy.approval.0 == Some(ApprovalMode::Manual));
            }
            Body::Instance(spec, _) => {
                count("guards.approval: Manual", spec.guards.approval.0 == Some(ApprovalMode::Manual));
                count("suspend: true of an instance", spec.suspend);
            }
            Body::Approval => {}
        }
    }
}

fn read_body(kind: Kind, spec: Option<Value<'_>>, context: &Context) -> Result<Body, ReadError> {
    fn of<'t, T: Deserialize<'t>>(spec: Value<'t>, context: &Context) -> Result<Box<T>, ReadError> {
        de::read(spec, context).map(Box::new)
    }
    let Some(spec) = spec else { return Err(serde::de::Error::custom("missing field `spec`")) };
    Ok(match kind {
        Kind::EntityType => Body::Object(Spec::EntityType(of(spec, context)?)),
        Kind::Lambda => Body::Object(Spec::Lambda(of(spec, context)?)),
        Kind::User => Body::Object(Spec::User(of(spec, context)?)),
        Kind::Entity => Body::Object(Spec::Entity(of(spec, context)?)),
        Kind::EntityGrant => Body::Object(Spec::EntityGrant(of(spec, context)?)),
        Kind::IdentityProviderLink => Body::Object(Spec::IdentityProviderLink(of(spec, context)?)),
        Kind::FusionAuthInstance => Body::Instance(of(spec, context)?, Vec::new()),
        Kind::ClusterFusionAuthInstance => {
            let spec: ClusterFusionAuthInstanceSpec = de::read(spec, context)?;
            Body::Instance(Box::new(spec.instance()), spec.allow)
        }
        Kind::PlanApproval => {
            let _: PlanApprovalSpec = de::read(spec, context)?;
            Body::Approval
        }
    })
}

fn is_well_formed(body: &Body) -> bool {
    match body {
        Body::Object(spec) => judge::is_well_formed(spec),
        Body::Instance(spec, allow) => judge::is_well_formed_instance(spec, allow),
        Body::Approval => true,
    }
}

fn only_known_fields(root: Value<'_>) -> bool {
    const FIELDS: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
    root.entries().is_some_and(|mut entries| {
        entries.all(|(key, _)| key.as_text().is_some_and(|name| FIELDS.contains(&name)))
    })
}

/// The address that a document claims, as far as it can be told.
fn address_of(kind: Kind, root: Value<'_>) -> Option<Address> {
    let metadata = root.get("metadata")?;
    let name = metadata.get("name")?.as_text().filter(|name| super::values::is_object_name(name))?;
    let namespace = metadata.get("namespace").and_then(|namespace| namespace.as_text());
    let namespace =
        namespace.filter(|namespace| super::values::is_namespace(namespace)).unwrap_or(DEFAULT_NAMESPACE);
    Some(Address::new(kind, namespace, name))
}

/// A verdict at its place.
fn found(root: Value<'_>, verdict: Verdict) -> Finding {
    let (at, length) = point(root, &verdict.pointer);
    // Each says which field it speaks of.
    let message = match verdict.code {
        "invalid-value" if !verdict.message.contains('`') => {
            format!("`{}`: {}", dotted(&verdict.pointer), verdict.message)
        }
        _ => verdict.message,
    };
    let finding = Finding::error(verdict.code, message, at, length).maybe_hint(verdict.hint);
    if verdict.secret { finding.hide(Hide::FromHere) } else { finding }
}

/// A JSON pointer as messages write paths: `spec.registrations[0].roles`.
fn dotted(pointer: &str) -> String {
    let mut path = String::new();
    for name in pointer.split('/').skip(1) {
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            path.push_str(&format!("[{name}]"));
        } else {
            path.push_str(if path.is_empty() { "" } else { "." });
            path.push_str(name);
        }
    }
    path
}
