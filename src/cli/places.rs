//! Where in the manifests a plan's problems lie: at a field and its line, where a problem names one.

use std::collections::HashMap;

use crate::manifest::{Object, StandardInput, fields};
use crate::model::{Address, Place, Spec};
use crate::reconcile::Problem;

/// Where declarations stand. Kept beside them, for planning uses the declarations up.
#[derive(Default)]
pub struct Places {
    secrets: HashMap<Address, (Place, Vec<Pointer>)>,
    standard_input: Option<StandardInput>,
}

/// A field of the request's body, and where a manifest declares its secret.
type Pointer = (&'static str, &'static str);

impl Places {
    pub fn of(objects: &[Object], standard_input: Option<StandardInput>) -> Self {
        let with_secrets = objects.iter().filter_map(|object| {
            let pointers = pointers(&object.spec);
            (!pointers.is_empty()).then(|| (object.address.clone(), (object.place.clone(), pointers)))
        });
        Places { secrets: with_secrets.collect(), standard_input }
    }

    /// Problems that name a field of a declaration point at it, instead of at the whole declaration.
    pub fn point(&self, problems: &mut [Problem]) {
        let pointed =
            problems.iter().filter_map(|problem| problem.place.as_ref().zip(problem.pointer.as_deref()));
        let asked: Vec<(&Place, &str)> = pointed.collect();
        let found = fields::find(&asked, self.standard_input.as_ref());
        let pointed =
            problems.iter_mut().filter(|problem| problem.place.is_some() && problem.pointer.is_some());
        for (problem, found) in pointed.zip(found) {
            if let Some((place, line)) = found {
                (problem.place, problem.line) = (Some(place), Some(line));
            }
        }
    }

    /// Secrets that are not there point at where they are declared. Their pointers are those of the request's body.
    pub fn point_at_secrets(&self, problems: &mut [Problem]) {
        for problem in problems.iter_mut() {
            let declared = problem.address.as_ref().and_then(|address| self.secrets.get(address));
            let field = problem.pointer.as_deref().and_then(|pointer| pointer.rsplit('/').next());
            let found = declared.zip(field).and_then(|((_, pointers), field)| {
                pointers.iter().find(|(name, _)| *name == field).map(|(_, pointer)| (*pointer).to_owned())
            });
            problem.pointer = found;
            problem.place = declared.map(|(place, _)| place.clone());
        }
        self.point(problems);
    }
}

fn pointers(spec: &Spec) -> Vec<Pointer> {
    match spec {
        Spec::User(user) if user.password.0.is_some() || user.initial.is_some() => {
            let initial = user.initial.as_ref().and_then(|initial| initial.password.as_ref());
            let password =
                if user.password.0.is_some() { "/spec/password" } else { "/spec/initial/password" };
            let salt = match initial {
                Some(password) if password.salt.is_some() => "/spec/initial/password/salt",
                _ => "/spec/initial/salt",
            };
            vec![("password", password), ("salt", salt)]
        }
        Spec::Entity(entity) if entity.client_secret.0.is_some() => {
            vec![("clientSecret", "/spec/clientSecret")]
        }
        Spec::IdentityProviderLink(link) if link.initial.is_some() || link.pending_link.is_some() => {
            vec![("token", "/spec/initial/token"), ("pendingIdPLinkId", "/spec/pendingLink/id")]
        }
        _ => Vec::new(),
    }
}
