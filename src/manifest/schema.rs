//! JSON Schemas of the manifests, one a kind and one for all, made from the types: for editors, `kubeconform`,
//! `explain`, and for telling all that does not fit a document.

mod closed;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use self::closed::{LABEL_VALUE, NAMESPACE, OBJECT_NAME, QUALIFIED_NAME, also, close};
use super::header::{ANNOTATIONS, METADATA, SERVER_METADATA};
use crate::model::{
    API_VERSION, ClusterFusionAuthInstanceSpec, Compare, EntityGrantSpec, EntitySpec, EntityTypeSpec,
    FusionAuthInstanceSpec, IdentityProviderLinkSpec, Kind, LambdaSpec, PlanApprovalSpec, UserSpec, Write,
    row,
};

/// The group of an `apiVersion` that was probably meant to be ours.
const OUR_GROUP: &str = "^[^/]*[fF][uU][sS][iI][oO][nN][kK][eE][eE][pP]";

/// Where the definitions of types stand in a schema.
const DEFINITIONS: &str = "$defs";

/// The schema of a kind's whole document.
pub fn of(kind: Kind) -> &'static Value {
    static SCHEMAS: LazyLock<BTreeMap<Kind, Value>> =
        LazyLock::new(|| Kind::ALL.into_iter().map(|kind| (kind, document(kind))).collect());
    static NOTHING: Value = Value::Null;
    SCHEMAS.get(&kind).unwrap_or(&NOTHING)
}

/// Every schema file by its name: one a kind, and `all.json`.
pub fn files() -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, String> =
        Kind::ALL.into_iter().map(|kind| (file_name(kind), pretty(of(kind)))).collect();
    files.insert("all.json".to_owned(), pretty(&all()));
    files
}

/// The name of a kind's schema file.
pub fn file_name(kind: Kind) -> String {
    format!("{}.json", kind.as_str().to_lowercase())
}

fn pretty(schema: &Value) -> String {
    format!("{schema:#}\n")
}

fn document(kind: Kind) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let spec = spec(kind, &mut generator);
    let mut definitions = Value::Object(generator.take_definitions(true));
    let mut spec = spec;
    let description = spec.get("description").cloned();
    if let Some(definitions) = definitions.as_object_mut() {
        definitions.values_mut().for_each(close);
    }
    close(&mut spec);
    if let Some(object) = spec.as_object_mut() {
        object.remove("title");
        object.remove("$schema");
        if kind.is_object() && kind != Kind::User {
            let deactivated = json!({ "properties": { "policy": { "properties": { "deletion": { "const": "Deactivate" } }, "required": ["deletion"], "type": "object" } }, "required": ["policy"] });
            also(object, json!({ "not": deactivated }));
        }
    }
    if kind.is_object() {
        let removable = removable(kind, &spec, &definitions);
        let unset = &mut spec["properties"]["unset"];
        match removable {
            Some(pattern) => unset["items"]["pattern"] = Value::String(pattern),
            None => unset["maxItems"] = json!(0),
        }
    }
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.as_str(),
        "description": description,
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": { "const": API_VERSION, "description": "The API version of the kind." },
            "kind": { "const": kind.as_str(), "description": "The kind." },
            "metadata": metadata(kind),
            "spec": spec,
            "status": { "description": "Written by the operator; ignored." },
        },
        "additionalProperties": false,
    });
    if let Some(schema) = schema.as_object_mut() {
        schema.insert(DEFINITIONS.to_owned(), definitions);
    }
    schema
}

/// The form of the paths that `unset` may name, if there are any.
fn removable(kind: Kind, spec: &Value, definitions: &Value) -> Option<String> {
    let fields = spec.get("properties").and_then(Value::as_object).into_iter().flatten();
    let paths =
        fields.filter(|(name, property)| is_removable(kind, name, property)).map(|(name, property)| {
            let keys = row(kind).fields.iter().any(|rule| rule.path == name && rule.compare == Compare::Data);
            match (
                keys,
                nullable(property).and_then(|definition| definitions.get(definition)?.get("properties")),
            ) {
                (true, Some(Value::Object(parts))) => {
                    let parts: Vec<&str> = parts.keys().map(String::as_str).collect();
                    format!("{name}(\\.({}))?", parts.join("|"))
                }
                (true, _) => format!("{name}(\\.[^.]+)*"),
                (false, _) => name.clone(),
            }
        });
    let paths: Vec<String> = paths.collect();
    (!paths.is_empty()).then(|| format!("^({})$", paths.join("|")))
}

/// Whether FusionAuth's object has the field and can be without it.
pub fn is_removable(kind: Kind, name: &str, property: &Value) -> bool {
    let row = row(kind);
    let is_written = row.part.as_ref().is_some_and(|part| part.field == name)
        || row.fields.iter().any(|rule| rule.path == name && rule.write == Write::Body && rule.on_wire());
    let null = json!("null");
    let types = property.get("type").and_then(Value::as_array);
    let branches = property.get("anyOf").and_then(Value::as_array);
    let takes_null = types.is_some_and(|types| types.contains(&null))
        || branches.is_some_and(|branches| branches.iter().any(|branch| branch.get("type") == Some(&null)));
    is_written && takes_null
}

/// The name of the definition that a field has when it is not null.
pub fn nullable(property: &Value) -> Option<&str> {
    let mut branches = property.get("anyOf")?.as_array()?.iter();
    branches.find_map(|branch| branch.get("$ref")?.as_str()?.rsplit('/').next())
}

fn spec(kind: Kind, generator: &mut SchemaGenerator) -> Value {
    fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
        T::json_schema(generator).to_value()
    }
    match kind {
        Kind::EntityType => of::<EntityTypeSpec>(generator),
        Kind::Lambda => of::<LambdaSpec>(generator),
        Kind::User => of::<UserSpec>(generator),
        Kind::Entity => of::<EntitySpec>(generator),
        Kind::EntityGrant => of::<EntityGrantSpec>(generator),
        Kind::IdentityProviderLink => of::<IdentityProviderLinkSpec>(generator),
        Kind::FusionAuthInstance => of::<FusionAuthInstanceSpec>(generator),
        Kind::ClusterFusionAuthInstance => of::<ClusterFusionAuthInstanceSpec>(generator),
        Kind::PlanApproval => of::<PlanApprovalSpec>(generator),
    }
}

fn metadata(kind: Kind) -> Value {
    let mut properties = Map::new();
    for (name, description) in METADATA {
        let schema = match *name {
            "name" => json!({ "type": "string", "minLength": 1, "maxLength": 253, "pattern": OBJECT_NAME }),
            // It belongs to none.
            "namespace" if kind == Kind::ClusterFusionAuthInstance => {
                json!({ "type": ["string", "null"], "not": { "type": "string" } })
            }
            "namespace" => json!({ "type": ["string", "null"], "maxLength": 63, "pattern": NAMESPACE }),
            "labels" => json!({
                "type": ["object", "null"],
                "propertyNames": { "pattern": QUALIFIED_NAME },
                "additionalProperties": { "type": ["string", "null"], "pattern": LABEL_VALUE },
            }),
            _ => json!({
                "type": ["object", "null"],
                "propertyNames": {
                    "pattern": QUALIFIED_NAME,
                    "if": { "pattern": "^[^/]*fusionkeep[^/]*/" },
                    "then": { "enum": ANNOTATIONS },
                },
                "additionalProperties": { "type": ["string", "null"] },
            }),
        };
        let mut schema = schema;
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("description".to_owned(), (*description).into());
        }
        properties.insert((*name).to_owned(), schema);
    }
    for name in SERVER_METADATA {
        properties
            .insert((*name).to_owned(), json!({ "description": "Written by the API server; ignored." }));
    }
    json!({
        "description": "What the object is called, as in Kubernetes.",
        "type": "object",
        "required": ["name"],
        "properties": properties,
        "additionalProperties": false,
    })
}

/// The schema of any document that may stand in a file of manifests: ours by their kinds, and others', which are passed
/// over unless they look like ours.
fn all() -> Value {
    let mut definitions = Map::new();
    let mut branches = Vec::new();
    let branch = |kind: &str, then: Value| json!({ "if": { "properties": { "kind": { "const": kind } }, "required": ["kind"] }, "then": then });
    for kind in Kind::ALL {
        let mut schema = of(kind).clone();
        if let Some(object) = schema.as_object_mut() {
            object.remove("$schema");
            if let Some(Value::Object(own)) = object.remove(DEFINITIONS) {
                definitions.extend(own);
            }
        }
        definitions.insert(format!("{kind}Document"), schema);
        branches.push(branch(kind.as_str(), json!({ "$ref": format!("#/{DEFINITIONS}/{kind}Document") })));
    }
    let names = Kind::ALL.map(Kind::as_str);
    let lists = names.map(|name| format!("{name}List"));
    for list in &lists {
        branches.push(branch(list, json!({ "properties": { "items": { "type": ["array", "null"] } } })));
    }
    let known: Vec<&str> = names.into_iter().chain(lists.iter().map(String::as_str)).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fusionkeep",
        "description": "Any of the kinds of fusionkeep.dev, and what stands beside them: Secrets, ConfigMaps, others' documents.",
        "type": "object",
        "if": { "properties": { "apiVersion": { "const": API_VERSION } }, "required": ["apiVersion"] },
        "then": { "required": ["kind"], "properties": { "kind": { "enum": known } }, "allOf": branches },
        // A person must not drop out of management by a slip.
        "else": { "not": { "anyOf": [
            { "required": ["apiVersion"], "properties": { "apiVersion": { "type": "string", "pattern": OUR_GROUP } } },
            { "required": ["apiVersion", "kind"], "properties": { "apiVersion": { "const": "v1" }, "kind": { "enum": known } } },
            { "required": ["kind"], "properties": { "apiVersion": { "not": { "type": "string" } }, "kind": { "enum": names } } },
            {
                "required": ["metadata", "spec"],
                "properties": { "apiVersion": false, "kind": false, "metadata": { "type": "object" }, "spec": { "type": "object" } },
            },
        ] } },
        DEFINITIONS: definitions,
    })
}
