//! All that a plan will send is loaded before its first write, so that none is made where another could not be.

use crate::model::Address;
use crate::reconcile::{Plan, Problem};

use super::super::secrets::{SecretError, SecretResolver, SecretValues};

/// The values of all secrets that the plan sends.
///
/// # Errors
/// Every secret that has no value, with the object that needs it.
pub async fn load_secrets(plan: &Plan, resolver: &dyn SecretResolver) -> Result<SecretValues, Vec<Problem>> {
    let mut values = SecretValues::default();
    let mut problems = Vec::new();
    for change in &plan.changes {
        for slot in change.calls.iter().flat_map(|call| &call.secrets) {
            let namespace = &change.address.namespace;
            if let Err(error) = values.load(resolver, namespace, &slot.source, slot.may_be_empty).await {
                problems.push(problem(&change.address, &error).pointing(&slot.pointer));
            }
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}

fn problem(address: &Address, error: &SecretError) -> Problem {
    let problem = Problem::error("secret-not-available", error.to_string(), "").of(address);
    Problem { hint: error.hint(), ..problem }
}
