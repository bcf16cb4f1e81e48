//! The hash that an approval names, and the diff that a person reads before. Whatever moves moves the hash: what is
//! declared, what is live, what would be called.

use ring::digest::{SHA256, digest};

use crate::reconcile::{Change, Plan};
use crate::report::{Audience, View, text};

/// The longest diff that a status holds, in bytes.
const LONGEST: usize = 16 * 1024;

/// A change's hash and its masked diff, as the command would print it.
pub fn of(plan: &Plan, change: &Change) -> (String, String) {
    let of_one = Plan {
        changes: vec![change.clone()],
        withheld: Vec::new(),
        warnings: Vec::new(),
        errors: Vec::new(),
        records: Vec::new(),
        unchanged: 0,
        suspended: 0,
        ..plan.clone()
    };
    let text = text(&View::of_plan(&of_one, Audience::default()));
    let mut diff = anstream::adapter::strip_str(&text).to_string();
    if diff.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|end| diff.is_char_boundary(*end)).unwrap_or_default();
        diff.truncate(end);
        diff.push_str("…\n");
    }
    (hash(&of_one), diff)
}

/// The change with what it was computed from; the server's version is not part of what is approved.
fn hash(plan: &Plan) -> String {
    let bytes = serde_json::to_vec(&(&plan.target.url, plan.target.tenant_id, &plan.owner, &plan.changes));
    let Ok(bytes) = bytes else {
        // What cannot be written cannot be approved: a hash that nobody can name.
        return uuid::Uuid::new_v4().simple().to_string();
    };
    let digest = digest(&SHA256, &bytes);
    digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
