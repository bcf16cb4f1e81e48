//! Where in the manifests a plan's problems lie: at a field and its line, where a problem names one.

use crate::manifest::{Object, fields};
use crate::model::{Place, Spec};
use crate::reconcile::Problem;

/// Problems that name a field of a declaration point at it, instead of at the whole declaration.
pub fn of_fields(problems: &mut [Problem]) {
    let pointed =
        problems.iter().filter_map(|problem| problem.place.as_ref().zip(problem.pointer.as_deref()));
    let asked: Vec<(&Place, &str)> = pointed.collect();
    let found = fields::find(&asked);
    let pointed = problems.iter_mut().filter(|problem| problem.place.is_some() && problem.pointer.is_some());
    for (problem, found) in pointed.zip(found) {
        if let Some((place, line)) = found {
            (problem.place, problem.line) = (Some(place), Some(line));
        }
    }
}

/// Secrets that are not there point at where they are declared. Their pointers are those of the request's body.
pub fn of_secrets(objects: &[Object], problems: &mut [Problem]) {
    for problem in problems.iter_mut() {
        let object = objects.iter().find(|object| Some(&object.address) == problem.address.as_ref());
        let field = problem.pointer.as_deref().and_then(|pointer| pointer.rsplit('/').next());
        let pointer = object.zip(field).and_then(|(object, field)| declared(&object.spec, field));
        problem.pointer = pointer.map(str::to_owned);
        problem.place = object.map(|object| object.place.clone());
    }
    of_fields(problems);
}

/// Whether a declaration may have a secret to be sent: [`of_secrets`] needs those alone.
pub fn may_send_secrets(object: &Object) -> bool {
    match &object.spec {
        Spec::User(user) => user.password.0.is_some() || user.initial.is_some(),
        Spec::Entity(entity) => entity.client_secret.0.is_some(),
        Spec::IdentityProviderLink(link) => link.initial.is_some() || link.pending_link.is_some(),
        _ => false,
    }
}

/// Where a manifest declares the secret of a field of FusionAuth.
fn declared(spec: &Spec, field: &str) -> Option<&'static str> {
    let pointer = match (spec, field) {
        (Spec::User(user), "password") if user.password.0.is_some() => "/spec/password",
        (Spec::User(_), "password") => "/spec/initial/password",
        (Spec::User(user), "salt") => {
            let initial = user.initial.as_ref();
            match initial.and_then(|initial| initial.password.as_ref()) {
                Some(password) if password.salt.is_some() => "/spec/initial/password/salt",
                _ => "/spec/initial/salt",
            }
        }
        (Spec::Entity(_), "clientSecret") => "/spec/clientSecret",
        (Spec::IdentityProviderLink(_), "token") => "/spec/initial/token",
        (Spec::IdentityProviderLink(_), "pendingIdPLinkId") => "/spec/pendingLink/id",
        _ => return None,
    };
    Some(pointer)
}
