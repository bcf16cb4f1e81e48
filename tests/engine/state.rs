//! What stands in the sandbox, in a form that two worlds can be compared by.

use serde_json::{Value, json};

use super::harness::World;

/// Everything that is live, without instants and ids that the server chose.
pub async fn state(world: &World) -> Value {
    let users = world.get("/api/user/search?queryString=*&numberOfResults=100").await;
    let mut all = Vec::new();
    for user in users["users"].as_array().unwrap() {
        let links =
            world.get(&format!("/api/identity-provider/link?userId={}", user["id"].as_str().unwrap())).await;
        all.push(json!({"user": user, "links": links["identityProviderLinks"]}));
    }
    let entities = world.get("/api/entity/search?queryString=*&numberOfResults=100").await;
    for entity in entities["entities"].as_array().unwrap() {
        let grants = world.get(&format!("/api/entity/{}/grant", entity["id"].as_str().unwrap())).await;
        let type_id = entity["type"]["id"].clone();
        let mut entity = entity.clone();
        for name in ["type", "clientSecret"] {
            entity.as_object_mut().unwrap().remove(name);
        }
        all.push(json!({"entity": entity, "type": type_id, "grants": grants["grants"]}));
    }
    for (path, key) in [("/api/lambda", "lambdas"), ("/api/entity/type", "entityTypes")] {
        all.extend(world.get(path).await[key].as_array().unwrap().iter().cloned());
    }
    let mut all: Vec<Value> = all.into_iter().map(plain).collect();
    all.sort_by_key(Value::to_string);
    Value::Array(all)
}

/// Without what differs from run to run: instants, and ids below the top that the server made.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let moves = |name: &str| {
                name.ends_with("Instant")
                    || matches!(name, "tenantId" | "applicationId" | "identityProviderId")
            };
            let kept = fields.into_iter().filter(|(name, _)| !moves(name));
            let kept = kept.filter(|(name, value)| name != "id" || is_ours(value));
            Value::Object(kept.map(|(name, value)| (name, plain(value))).collect())
        }
        Value::Array(items) => {
            let mut items: Vec<Value> = items.into_iter().map(plain).collect();
            // Parts and grants stand in the order in which they were made; lists of plain values keep theirs.
            if items.iter().all(Value::is_object) {
                items.sort_by_key(Value::to_string);
            }
            Value::Array(items)
        }
        other => other,
    }
}

/// Derived ids are UUIDs of version 5.
fn is_ours(id: &Value) -> bool {
    id.as_str().and_then(|id| id.parse::<uuid::Uuid>().ok()).is_some_and(|id| id.get_version_num() == 5)
}

/// Derived ids depend on the tenant, which each sandbox chooses; names do not.
pub fn by_name(state: &Value) -> Value {
    fn strip(value: &Value) -> Value {
        match value {
            Value::Object(fields) => Value::Object(
                fields
                    .iter()
                    .filter(|(name, _)| {
                        !matches!(name.as_str(), "id" | "userId" | "clientId" | "type" | "recipientEntityId")
                    })
                    .map(|(name, value)| (name.clone(), strip(value)))
                    .collect(),
            ),
            Value::Array(items) => {
                let mut items: Vec<Value> = items.iter().map(strip).collect();
                if items.iter().all(Value::is_object) {
                    items.sort_by_key(Value::to_string);
                }
                Value::Array(items)
            }
            other => other.clone(),
        }
    }
    let mut state = strip(state);
    if let Value::Array(items) = &mut state {
        items.sort_by_key(Value::to_string);
    }
    state
}
