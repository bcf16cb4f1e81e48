//! What a served sandbox holds, without what differs from run to run.

use serde_json::{Value, json};

use crate::command::sandbox::Served;

const TENANT_OBJECTS: Value = Value::Null;

/// All objects of the kinds that can be declared, by kind and id.
pub fn state(served: &Served) -> Value {
    let all = json!({ "search": { "queryString": "*", "numberOfResults": 1000 } });
    let by_id = |answer: &Value, field: &str| -> Vec<Value> {
        let mut found = answer[field].as_array().cloned().unwrap_or_default();
        found.sort_by_key(|one| one["id"].to_string());
        found
    };
    let users = by_id(&served.send("POST", "/api/user/search", &all), "users");
    let entities = by_id(&served.send("POST", "/api/entity/search", &all), "entities");
    let links = users.iter().map(|user| {
        let path = format!("/api/identity-provider/link?userId={}", user["id"].as_str().unwrap());
        served.send("GET", &path, &TENANT_OBJECTS)
    });
    let grants = entities.iter().map(|entity| {
        served.send("GET", &format!("/api/entity/{}/grant", entity["id"].as_str().unwrap()), &Value::Null)
    });
    let (links, grants): (Vec<Value>, Vec<Value>) = (links.collect(), grants.collect());
    let types = by_id(&served.send("GET", "/api/entity/type", &Value::Null), "entityTypes");
    let lambdas = by_id(&served.send("GET", "/api/lambda", &Value::Null), "lambdas");
    let mut state = json!({
        "users": users, "entities": entities, "links": links, "grants": grants, "types": types, "lambdas": lambdas,
    });
    strip(&mut state);
    state
}

/// One user, by e-mail.
pub fn user(served: &Served, email: &str) -> Value {
    served.send("GET", &format!("/api/user?email={email}"), &Value::Null)["user"].clone()
}

/// Instants, generated ids of grants and registrations, and what only a login or FusionAuth makes.
fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let is_part = fields.contains_key("applicationId") || fields.contains_key("permissions");
            if is_part && !fields.contains_key("jwtConfiguration") {
                fields.remove("id");
            }
            fields.retain(|name, _| !name.ends_with("Instant") && name != "token" && name != "clientSecret");
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => {
            items.iter_mut().for_each(strip);
            if items.iter().all(|item| item.is_object()) {
                items.sort_by_key(Value::to_string);
            }
        }
        _ => {}
    }
}
