//! Custom resource definitions, made from the same Rust types as the manifests.
//!
//! A JSON Schema of schemars becomes a structural schema: subschemas inlined, null by `nullable`, one-of rules
//! and immutability by CEL. Immutability stands on the parent with `has(self.x) == has(oldSelf.x)`, so that a
//! field cannot be changed by removing and adding it.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::model::{
    ClusterFusionAuthInstanceSpec, EntityGrantSpec, EntitySpec, EntityTypeSpec, FusionAuthInstanceSpec,
    GROUP, IdentityProviderLinkSpec, Kind, LambdaSpec, PlanApprovalSpec, UserSpec, VERSION, row,
};

use super::status::{InstanceStatus, ObjectStatus};

/// The strings that CEL rules compare, and their longest length: bounds keep the rules within the API server's
/// cost budget. FusionAuth's own columns hold 191 characters.
const COMPARED: [&str; 8] =
    ["name", "key", "clientId", "email", "username", "phoneNumber", "owner", "planHash"];
const MAX_LENGTH: u64 = 256;
/// Forms of strings that the reader of manifests refuses otherwise; no narrower than it, so that what the command takes the
/// API server takes too.
const PATTERNS: [(&str, &str); 6] = [
    ("owner", "^[a-z0-9-]{1,63}$"),
    ("url", "^[hH][tT][tT][pP][sS]?:[^?#]+$"),
    ("interval", "^([0-9]+h)?([0-9]+m)?([0-9]+s)?$"),
    ("linkInterval", "^([0-9]+h)?([0-9]+m)?([0-9]+s)?$"),
    ("birthDate", "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
    ("phoneNumber", "^\\+[1-9][-0-9 .()]*[0-9]$"),
];
/// The most elements of an array; the same reason.
const MAX_ITEMS: u64 = 1000;

/// A definition that could not be made: a defect of the program, found by its tests.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    #[error("the definition of {kind} is no CustomResourceDefinition: {source}")]
    Form { kind: Kind, source: serde_json::Error },
    #[error("the definitions cannot be written as YAML: {0}")]
    Yaml(String),
}

/// A CEL rule with what it says to a person.
struct Rule {
    rule: String,
    message: String,
}

impl Rule {
    fn new(rule: impl Into<String>, message: impl Into<String>) -> Self {
        Rule { rule: rule.into(), message: message.into() }
    }

    /// `field` may neither change nor come or go.
    fn immutable(field: &str, what_to_do: &str) -> Self {
        Rule::new(
            format!(
                "has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"
            ),
            format!("{field} cannot change; {what_to_do}"),
        )
    }

    /// `field` reads the machine the operator runs on.
    fn refused(field: &str, instead: &str) -> Self {
        Rule::new(
            format!("!has(self.{field})"),
            format!("{field} would read the operator's own environment or files; use {instead}"),
        )
    }

    fn value(self) -> Value {
        json!({ "rule": self.rule, "message": self.message })
    }
}

/// All definitions, in the order of the kinds.
pub fn custom_resource_definitions() -> Result<Vec<CustomResourceDefinition>, DefinitionError> {
    Kind::ALL.into_iter().map(definition).collect()
}

/// One definition as YAML with the name of its file in the chart.
pub fn definition_files() -> Result<Vec<(String, String)>, DefinitionError> {
    custom_resource_definitions()?
        .iter()
        .map(|definition| {
            let name = format!("{}.yaml", definition.spec.names.plural);
            Ok((name, yaml(definition)?))
        })
        .collect()
}

fn yaml(definition: &CustomResourceDefinition) -> Result<String, DefinitionError> {
    serde_saphyr::to_string(definition).map_err(|error| DefinitionError::Yaml(error.to_string()))
}

/// All definitions as a stream of YAML documents, as `fusionkeep crds` prints them.
pub fn definitions_as_yaml() -> Result<String, DefinitionError> {
    let mut text = String::new();
    for definition in custom_resource_definitions()? {
        text.push_str("---\n");
        text.push_str(
            &serde_saphyr::to_string(&definition)
                .map_err(|error| DefinitionError::Yaml(error.to_string()))?,
        );
    }
    Ok(text)
}

fn definition(kind: Kind) -> Result<CustomResourceDefinition, DefinitionError> {
    let singular = kind.as_str().to_lowercase();
    let plural = row(kind).plural;
    let spec = spec_schema(kind);
    let mut properties = Map::new();
    properties.insert("spec".to_owned(), spec);
    if let Some(status) = status_schema(kind) {
        properties.insert("status".to_owned(), status);
    }
    let mut version = json!({
        "name": VERSION,
        "served": true,
        "storage": true,
        "schema": { "openAPIV3Schema": {
            "type": "object",
            "description": description(kind),
            "required": ["spec"],
            "properties": properties,
        }},
        "additionalPrinterColumns": printer_columns(kind),
    });
    if kind != Kind::PlanApproval {
        version["subresources"] = json!({ "status": {} });
    }
    let value = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.{GROUP}") },
        "spec": {
            "group": GROUP,
            "scope": if kind == Kind::ClusterFusionAuthInstance { "Cluster" } else { "Namespaced" },
            "names": {
                "kind": kind.as_str(),
                "listKind": format!("{kind}List"),
                "plural": plural,
                "singular": singular,
                "shortNames": [short_name(kind)],
                "categories": ["fusionkeep"],
            },
            "versions": [version],
        },
    });
    serde_json::from_value(value).map_err(|source| DefinitionError::Form { kind, source })
}

fn short_name(kind: Kind) -> &'static str {
    match kind {
        Kind::EntityType => "faentitytype",
        Kind::Lambda => "falambda",
        Kind::User => "fauser",
        Kind::Entity => "faentity",
        Kind::EntityGrant => "fagrant",
        Kind::IdentityProviderLink => "falink",
        Kind::FusionAuthInstance => "fainstance",
        Kind::ClusterFusionAuthInstance => "facinstance",
        Kind::PlanApproval => "faapproval",
    }
}

fn description(kind: Kind) -> &'static str {
    match kind {
        Kind::EntityType => "A type of entities in FusionAuth, with its permissions.",
        Kind::Lambda => "JavaScript that FusionAuth runs in tokens, logins and provisioning.",
        Kind::User => "A person who signs in through FusionAuth.",
        Kind::Entity => {
            "Something in FusionAuth that is not a person and can hold grants or be their object."
        }
        Kind::EntityGrant => "Permissions of a user or an entity on an entity.",
        Kind::IdentityProviderLink => "A link between a user and an account at an identity provider.",
        Kind::FusionAuthInstance => "A FusionAuth to keep, used by objects of its own namespace.",
        Kind::ClusterFusionAuthInstance => "A FusionAuth that an administrator lends to several namespaces.",
        Kind::PlanApproval => "The approval of one plan of one object.",
    }
}

fn printer_columns(kind: Kind) -> Value {
    let age = json!({ "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp" });
    let ready = json!({
        "name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status",
    });
    let reason = json!({
        "name": "Reason", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].reason",
        "priority": 1,
    });
    let message = json!({
        "name": "Message", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].message",
        "priority": 1,
    });
    match kind {
        Kind::PlanApproval => json!([
            { "name": "Kind", "type": "string", "jsonPath": ".spec.objectRef.kind" },
            { "name": "Object", "type": "string", "jsonPath": ".spec.objectRef.name" },
            age,
        ]),
        Kind::FusionAuthInstance | Kind::ClusterFusionAuthInstance => json!([
            ready,
            { "name": "URL", "type": "string", "jsonPath": ".spec.url" },
            { "name": "Owner", "type": "string", "jsonPath": ".spec.owner" },
            { "name": "Version", "type": "string", "jsonPath": ".status.serverVersion", "priority": 1 },
            reason,
            message,
            age,
        ]),
        _ => json!([
            ready,
            { "name": "Instance", "type": "string", "jsonPath": ".status.instance" },
            { "name": "ID", "type": "string", "jsonPath": ".status.id" },
            reason,
            message,
            age,
        ]),
    }
}

fn status_schema(kind: Kind) -> Option<Value> {
    let mut schema = match kind {
        Kind::PlanApproval => return None,
        Kind::FusionAuthInstance | Kind::ClusterFusionAuthInstance => structural::<InstanceStatus>(),
        _ => structural::<ObjectStatus>(),
    };
    // kstatus calls an object without a status current. As in Flux' own kinds, one that nobody has looked at yet says so.
    schema["default"] = json!({ "observedGeneration": -1 });
    Some(schema)
}

fn spec_schema(kind: Kind) -> Value {
    let mut schema = match kind {
        Kind::EntityType => structural::<EntityTypeSpec>(),
        Kind::Lambda => structural::<LambdaSpec>(),
        Kind::User => structural::<UserSpec>(),
        Kind::Entity => structural::<EntitySpec>(),
        Kind::EntityGrant => structural::<EntityGrantSpec>(),
        Kind::IdentityProviderLink => structural::<IdentityProviderLinkSpec>(),
        Kind::FusionAuthInstance => structural::<FusionAuthInstanceSpec>(),
        Kind::ClusterFusionAuthInstance => structural::<ClusterFusionAuthInstanceSpec>(),
        Kind::PlanApproval => structural::<PlanApprovalSpec>(),
    };
    for rule in rules(kind) {
        add_rule(&mut schema, rule);
    }
    if kind == Kind::User
        && let Some(registrations) = schema.pointer_mut("/properties/registrations")
    {
        // An element's key is an object, which a list map cannot have.
        registrations["x-kubernetes-list-type"] = json!("atomic");
    }
    schema
}

/// Tombstones need only what identifies them.
const ABSENT: &str = "(has(self.policy) && has(self.policy.ensure) && self.policy.ensure == 'Absent')";

/// Fields that may neither change nor come or go, and what to do instead.
pub fn immutable(kind: Kind) -> &'static [(&'static str, &'static str)] {
    const ID: (&str, &str) = ("id", "it is the object's identity: create another object instead");
    const NEW_OBJECT: &str = "FusionAuth cannot change it: delete the object and create another one";
    const INSTANCE: (&str, &str) =
        ("instanceRef", "what stands in one FusionAuth is not another's: create another object instead");
    match kind {
        Kind::EntityType | Kind::User => &[ID, INSTANCE],
        Kind::Lambda => &[ID, ("type", NEW_OBJECT), INSTANCE],
        Kind::Entity => &[ID, ("type", NEW_OBJECT), ("clientId", NEW_OBJECT), INSTANCE],
        Kind::EntityGrant | Kind::IdentityProviderLink => &[INSTANCE],
        Kind::FusionAuthInstance | Kind::ClusterFusionAuthInstance => &[
            ("owner", "use fusionkeep adopt --from-owner to move what an owner holds"),
            ("tenantId", "ids are derived from it: create another instance instead"),
        ],
        Kind::PlanApproval => &[("planHash", "an approval speaks of one plan: create another one")],
    }
}

fn rules(kind: Kind) -> Vec<Rule> {
    let mut rules: Vec<Rule> =
        immutable(kind).iter().map(|(field, what_to_do)| Rule::immutable(field, what_to_do)).collect();
    if kind == Kind::User {
        rules.extend([
            Rule::new(
                format!(
                    "{ABSENT} || (has(self.email) && dyn(self.email) != null) || (has(self.username) && dyn(self.username) != null) \
                     || (has(self.phoneNumber) && dyn(self.phoneNumber) != null)"
                ),
                "a user needs an email, a username or a phoneNumber to sign in with",
            ),
            Rule::new(
                "!has(self.password) || !has(self.initial) || dyn(self.initial) == null || !has(self.initial.password)",
                "password and initial.password exclude each other: password is enforced, initial.password is sent once",
            ),
            Rule::new(
                "!has(self.initial) || dyn(self.initial) == null || !has(self.initial.sendSetPasswordIdentityType) \
                 || dyn(self.initial.sendSetPasswordIdentityType) == null || self.initial.sendSetPasswordIdentityType == 'doNotSend' \
                 || (!has(self.password) && !has(self.initial.password))",
                "sendSetPasswordIdentityType asks for a message to set a password, but there is one already; write doNotSend",
            ),
            Rule::new(
                "!has(self.verified) || dyn(self.verified) == null || self.verified",
                "verified can only be declared true; remove the field to leave the user as it is",
            ),
        ]);
    }
    if kind == Kind::IdentityProviderLink {
        rules.push(Rule::new(
            "has(self.identityProviderUserId) || (has(self.pendingLink) && dyn(self.pendingLink) != null)",
            "identityProviderUserId is needed; only with pendingLink it may be left out",
        ));
    }
    rules
}

fn add_rule(schema: &mut Value, rule: Rule) {
    if let Some(object) = schema.as_object_mut() {
        let rules = object.entry("x-kubernetes-validations").or_insert_with(|| json!([]));
        if let Some(rules) = rules.as_array_mut() {
            rules.push(rule.value());
        }
    }
}

/// The structural schema of a type.
fn structural<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(object) = schema.as_object_mut() {
        for key in ["$schema", "title", "$defs"] {
            object.remove(key);
        }
    }
    rewrite(&mut schema);
    schema
}

fn rewrite(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    take_null(object);
    // What is not declared stays so: a default written into the stored object would look like a declaration.
    object.remove("default");
    for key in ["properties", "$defs"] {
        for (name, property) in object.get_mut(key).and_then(Value::as_object_mut).into_iter().flatten() {
            rewrite(property);
            if COMPARED.contains(&name.as_str()) && property["type"] == "string" {
                property["maxLength"] = json!(MAX_LENGTH);
            }
            let pattern = PATTERNS.iter().find(|(of, _)| of == name);
            if let Some((_, pattern)) = pattern.filter(|_| property["type"] == "string") {
                property["pattern"] = json!(pattern);
            }
        }
    }
    if let Some(items) = object.get_mut("items") {
        rewrite(items);
    }
    bound(object);
    open_maps(object);
    // Said to editors. Here the operator judges, by the reader's own rules, what the rules below do not.
    for word in [
        "x-secret",
        "x-form",
        "x-form-of-items",
        "x-least",
        "x-most-items",
        "x-never",
        "x-any-of",
        "x-any-of-unless-absent",
    ] {
        object.remove(word);
    }
    let required = object.remove("x-required-unless-absent");
    let unless_absent = object.remove("x-exactly-one-of-unless-absent");
    let exactly_one = object.remove("x-exactly-one-of").or(unless_absent);
    let names = self::names(exactly_one.as_ref());
    if !names.is_empty() {
        one_of(schema, &names);
    }
    for name in self::names(required.as_ref()) {
        let rule = format!("{ABSENT} || ({})", present(schema, &name));
        add_rule(
            schema,
            Rule::new(rule, format!("{name} is needed, except in a tombstone (policy.ensure: Absent)")),
        );
    }
    for (field, instead) in
        [("fromEnv", "secretKeyRef"), ("fromFile", "secretKeyRef"), ("bodyFile", "body or bodyFrom")]
    {
        if schema.pointer(&format!("/properties/{field}")).is_some() {
            add_rule(schema, Rule::refused(field, instead));
        }
    }
}

/// The texts of an extension that lists names.
fn names(extension: Option<&Value>) -> Vec<String> {
    let names = extension.and_then(Value::as_array).into_iter().flatten();
    names.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The CEL condition that a field is there; null counts as absent.
fn present(schema: &Value, name: &str) -> String {
    let nullable = schema.pointer(&format!("/properties/{name}/nullable")).is_some();
    if nullable {
        format!("has(self.{name}) && dyn(self.{name}) != null")
    } else {
        format!("has(self.{name})")
    }
}

fn one_of(schema: &mut Value, names: &[String]) {
    let present: Vec<String> = names.iter().map(|name| present(schema, name)).collect();
    let tombstone =
        if schema.pointer("/properties/policy").is_some() { format!("{ABSENT} || ") } else { String::new() };
    let rule = format!("{tombstone}[{}].filter(present, present).size() == 1", present.join(", "));
    add_rule(schema, Rule::new(rule, format!("exactly one of {} is needed", names.join(", "))));
}

/// `["string", "null"]` and `anyOf: [X, null]` become X with `nullable`.
fn take_null(object: &mut Map<String, Value>) {
    if let Some(types) = object.get("type").and_then(Value::as_array).cloned() {
        let kept: Vec<Value> = types.iter().filter(|value| *value != "null").cloned().collect();
        if kept.len() < types.len() {
            object.insert("nullable".to_owned(), Value::Bool(true));
        }
        if let [only] = kept.as_slice() {
            object.insert("type".to_owned(), only.clone());
        }
    }
    let Some(variants) = object.get("anyOf").and_then(Value::as_array).cloned() else { return };
    let is_null = |variant: &Value| variant.get("type").is_some_and(|kind| kind == "null");
    let kept: Vec<Value> = variants.iter().filter(|variant| !is_null(variant)).cloned().collect();
    let nullable = kept.len() < variants.len();
    if nullable {
        object.insert("nullable".to_owned(), Value::Bool(true));
    }
    // What may be several types is open (a pending link's id) or int-or-string, which says it all.
    object.remove("anyOf");
    if let [Value::Object(only)] = kept.as_slice() {
        for (key, value) in only {
            object.entry(key.clone()).or_insert_with(|| value.clone());
        }
        take_null(object);
    } else if kept.iter().any(|variant| variant.get("x-kubernetes-int-or-string").is_some()) {
        object.insert("x-kubernetes-int-or-string".to_owned(), Value::Bool(true));
    }
    if let Some(values) = object.get_mut("enum").and_then(Value::as_array_mut)
        && nullable
    {
        values.push(Value::Null);
    }
}

fn bound(object: &mut Map<String, Value>) {
    if object.get("type").is_some_and(|kind| kind == "array") {
        object.entry("maxItems").or_insert_with(|| json!(MAX_ITEMS));
    }
    // Formats that the API server does not know are noise in kubectl explain.
    if object.get("format").is_some_and(|format| format != "uuid" && format != "int64") {
        object.remove("format");
    }
}

/// Objects without known fields keep what they are given.
fn open_maps(object: &mut Map<String, Value>) {
    let open = object.get("additionalProperties").is_some_and(|value| value == &Value::Bool(true));
    if open {
        object.remove("additionalProperties");
        object.insert("x-kubernetes-preserve-unknown-fields".to_owned(), Value::Bool(true));
    }
    if let Some(values) = object.get_mut("additionalProperties") {
        rewrite(values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_definition_without_leftovers() {
        let text = definitions_as_yaml().unwrap();
        assert_eq!(text.matches("kind: CustomResourceDefinition").count(), Kind::ALL.len());
        for leftover in [
            "anyOf",
            "$ref",
            "$defs",
            "x-exactly-one-of",
            "x-any-of",
            "x-form",
            "x-never",
            "additionalProperties: true",
        ] {
            assert!(!text.contains(leftover), "{leftover} in\n{text}");
        }
    }

    /// `FUSIONKEEP_UPDATE=1 cargo test` writes them anew.
    #[test]
    fn the_charts_definitions_are_the_generated_ones() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/fusionkeep/files/crds");
        for (name, text) in definition_files().unwrap() {
            if std::env::var_os("FUSIONKEEP_UPDATE").is_some() {
                std::fs::write(folder.join(&name), &text).unwrap();
            }
            assert_eq!(std::fs::read_to_string(folder.join(&name)).unwrap(), text, "{name}");
        }
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), Kind::ALL.len());
    }
}
