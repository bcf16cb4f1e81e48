//! The declaration of an instance.

use super::{Judge, OneOf, Verdict, one};
use crate::manifest::finding::shorten;
use crate::manifest::values;
use crate::model::{FusionAuthInstanceSpec, InstanceAllow, Owner, SecretSource};

/// Judges an instance of either kind.
pub fn instance(spec: &FusionAuthInstanceSpec, allow: &[InstanceAllow]) -> Vec<Verdict> {
    let mut judge = Judge::default();
    if let Some(fault) = values::url_fault(&spec.url) {
        let hint = "http or https, a host, and a path if wanted: https://auth.example.com";
        // What looks like user information may be a password.
        if spec.url.contains('@') {
            judge.invalid("/spec/url", fault).hint(hint).secret();
        } else {
            judge.invalid("/spec/url", format!("\"{}\": {fault}", shorten(&spec.url))).hint(hint);
        }
    }
    if let Err(error) = spec.owner.parse::<Owner>() {
        judge.invalid("/spec/owner", error.to_string());
    }
    for (field, text) in [("interval", &spec.interval), ("linkInterval", &spec.link_interval)] {
        if let Some(text) = text.as_ref().filter(|text| values::duration(text).is_none()) {
            judge
                .invalid(format!("/spec/{field}"), format!("\"{}\" is no duration", shorten(text)))
                .hint("hours, minutes and seconds: 10m, 1h30m");
        }
    }
    for (field, source) in [("apiKey", &spec.api_key), ("runnerKey", &spec.runner_key)] {
        if let Some(source) = source {
            judge.source(&format!("/spec/{field}"), source);
        }
    }
    for (index, entry) in allow.iter().enumerate() {
        for (number, name) in entry.namespaces.names.iter().flatten().enumerate() {
            if !values::is_namespace(name) {
                let pointer = format!("/spec/allow/{index}/namespaces/names/{number}");
                judge.invalid(pointer, format!("\"{}\" is no name of a namespace", shorten(name)));
            }
        }
        for (number, kind) in entry.kinds.iter().enumerate().filter(|(_, kind)| !kind.is_object()) {
            let pointer = format!("/spec/allow/{index}/kinds/{number}");
            judge.invalid(pointer, format!("{kind} is no kind of object"));
        }
    }
    judge.verdicts
}

/// Whether exactly one field of every one-of is there.
pub fn is_well_formed_instance(spec: &FusionAuthInstanceSpec, allow: &[InstanceAllow]) -> bool {
    [&spec.api_key, &spec.runner_key]
        .into_iter()
        .all(|source| source.as_ref().is_none_or(SecretSource::is_one))
        && allow
            .iter()
            .all(|entry| one([entry.namespaces.names.is_some(), entry.namespaces.selector.is_some()]))
}
