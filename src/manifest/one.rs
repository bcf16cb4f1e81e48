//! One object as an API server holds it, judged by the same rules as a manifest of a file.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::input::{Instance, Object};
use super::source::SourceFile;
use super::yaml::Format;
use super::{Diagnostic, sort};
use super::{document, locate};
use crate::model::{API_VERSION, Kind, Spec};

/// What an API server holds of one of our objects, as far as it matters here.
#[derive(Clone, Debug)]
pub struct Stored<'a> {
    pub kind: Kind,
    /// Empty for what stands in no namespace.
    pub namespace: &'a str,
    pub name: &'a str,
    pub labels: &'a BTreeMap<String, String>,
    /// Annotations of our group: one that nobody knows is an error.
    pub annotations: &'a BTreeMap<String, String>,
    /// JSON text.
    pub spec: &'a str,
}

/// A stored object, typed.
#[derive(Clone, Debug)]
pub enum Typed {
    Object(Box<Object>),
    Instance(Box<Instance>),
}

/// Judges one stored object by itself; what it refers to is not looked for. A lambda's body is given when it stands in
/// the object.
///
/// # Errors
/// All that is wrong with it.
pub fn stored(stored: &Stored<'_>) -> Result<Typed, Vec<Diagnostic>> {
    let failed = |error: serde_json::Error| vec![Diagnostic::error("syntax", error.to_string())];
    let mut metadata = json!({ "name": stored.name, "labels": stored.labels });
    if !stored.namespace.is_empty() {
        metadata["namespace"] = stored.namespace.into();
    }
    if !stored.annotations.is_empty() {
        metadata["annotations"] = json!(stored.annotations);
    }
    let spec: &RawValue = serde_json::from_str(stored.spec).map_err(failed)?;
    let head: Value =
        json!({ "apiVersion": API_VERSION, "kind": stored.kind.as_str(), "metadata": metadata });
    let head = head.to_string();
    // Spliced, not parsed: numbers stay as they are written.
    let text = format!("{},\"spec\":{}}}", head.strip_suffix('}').unwrap_or(&head), spec.get());
    let file = SourceFile::new("cluster", None, Format::Json, text);
    let parts = locate::parts(&file);
    let mut batch = document::read(&file, 0, &parts);
    let mut diagnostics = file.diagnostics(std::mem::take(&mut batch.findings), batch.more_findings);
    sort(&mut diagnostics);
    diagnostics.retain(Diagnostic::is_error);
    if let (Some((mut object, _)), true) = (batch.objects.pop(), diagnostics.is_empty()) {
        if let Spec::Lambda(spec) = &object.spec {
            object.lambda_body.clone_from(&spec.body);
        }
        return Ok(Typed::Object(Box::new(object)));
    }
    match batch.instances.pop() {
        Some((instance, _)) if diagnostics.is_empty() => Ok(Typed::Instance(Box::new(instance))),
        _ if diagnostics.is_empty() => Err(vec![Diagnostic::error("unknown-kind", "it declares no object")]),
        _ => Err(diagnostics),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: Kind, spec: &str) -> Result<Typed, Vec<Diagnostic>> {
        let labels = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
        let annotations = BTreeMap::from([("fusionkeep.dev/moved-from".to_owned(), "y".to_owned())]);
        stored(&Stored {
            kind,
            namespace: "team-a",
            name: "x",
            labels: &labels,
            annotations: &annotations,
            spec,
        })
    }

    #[test]
    fn an_object_of_a_cluster_is_judged_like_a_file() {
        let Ok(Typed::Object(object)) = read(Kind::User, r#"{"email":"a@b.c","data":{"n":1.50}}"#) else {
            panic!("an object")
        };
        assert_eq!(object.address.to_string(), "User/team-a/x");
        assert_eq!(object.moved_from.unwrap().to_string(), "User/team-a/y");
        let Ok(Typed::Object(lambda)) = read(Kind::Lambda, r#"{"type":"JWTPopulate","body":"x"}"#) else {
            panic!("a lambda")
        };
        assert_eq!(lambda.lambda_body.as_deref(), Some("x"));
        for (spec, message) in [
            (r#"{"email":"nothing"}"#, "e-mail"),
            (r#"{"emial":"a@b.c"}"#, "emial"),
            ("null", ""),
            ("[]", ""),
        ] {
            let errors = read(Kind::User, spec).unwrap_err();
            assert!(errors.iter().any(|error| error.message.contains(message)), "{spec}: {errors:?}");
        }
    }

    #[test]
    fn an_annotation_of_our_group_that_nobody_knows_is_told() {
        for (name, hint) in [
            ("fusionkeep.dev/move-from", "moved-from"),
            ("fusionkeep.io/reconcile", "fusionkeep.dev/reconcile"),
        ] {
            let annotations = BTreeMap::from([(name.to_owned(), "y".to_owned())]);
            let of = Stored {
                kind: Kind::User,
                namespace: "team-a",
                name: "x",
                labels: &BTreeMap::new(),
                annotations: &annotations,
                spec: r#"{"username":"x"}"#,
            };
            let errors = stored(&of).unwrap_err();
            assert!(errors[0].message.contains(name), "{errors:?}");
            assert!(errors[0].hint.as_ref().unwrap().contains(hint), "{errors:?}");
        }
    }
}
