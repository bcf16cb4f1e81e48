//! Ids that are handed out for a while: change-password ids and verification ids.

use serde_json::{Value, json};
use uuid::Uuid;

use super::super::store::{
    Object, Relation, State, StoreError, Table, Transaction, Unique, UniqueKey, text_at, uuid_at,
};
use super::super::tokens::opaque_id;

/// What a verification id verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verifies {
    Email,
    Registration(Uuid),
    PhoneNumber,
}

/// A token that has not expired.
#[derive(Debug, Clone)]
pub struct Token {
    pub user: Uuid,
    pub verifies: Verifies,
    /// The address that a verification is about; it may wait to become the user's.
    pub value: Option<String>,
    /// The short code that goes with the id where the tenant asks for one.
    pub one_time_code: Option<String>,
    /// FusionAuth itself mailed the id.
    pub mailed: bool,
}

/// Six digits.
pub fn random_code() -> String {
    format!("{:06}", Uuid::new_v4().as_u128() % 1_000_000)
}

/// Issues a change-password id; `given` is the caller's own. The caller checks that it is free.
pub fn issue_change_password(
    tx: &mut Transaction<'_>,
    user: Uuid,
    given: Option<&str>,
    lifetime: i64,
    mailed: bool,
) -> Result<String, StoreError> {
    let token = given.map_or_else(opaque_id, str::to_owned);
    let expiry = tx.now().saturating_add(lifetime);
    let row = object(json!({"token": token, "userId": user, "expiry": expiry, "mailed": mailed}));
    tx.put(Table::CHANGE_PASSWORD, Uuid::new_v4(), &row)?;
    Ok(token)
}

/// Issues a verification id.
pub fn issue_verification(
    tx: &mut Transaction<'_>,
    user: Uuid,
    verifies: Verifies,
    value: Option<&str>,
    code: Option<&str>,
    lifetime: i64,
) -> Result<String, StoreError> {
    let token = opaque_id();
    let expiry = tx.now().saturating_add(lifetime);
    let (kind, application) = match verifies {
        Verifies::Email => ("email", None),
        Verifies::Registration(application) => ("registration", Some(application)),
        Verifies::PhoneNumber => ("phoneNumber", None),
    };
    let row = object(json!({
        "token": token, "userId": user, "expiry": expiry, "kind": kind, "applicationId": application,
        "value": value, "oneTimeCode": code,
    }));
    tx.put(Table::VERIFICATION, Uuid::new_v4(), &row)?;
    Ok(token)
}

fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        _ => Object::new(),
    }
}

/// The change-password id, if it is known and holds.
pub fn find_change_password(state: &State, token: &str, now: i64) -> Option<Token> {
    find(state, Table::CHANGE_PASSWORD, Unique::ChangePasswordId, token, now)
}

/// The verification id, if it is known and holds.
pub fn find_verification(state: &State, token: &str, now: i64) -> Option<Token> {
    find(state, Table::VERIFICATION, Unique::VerificationId, token, now)
}

/// The verification ids of a user's names that hold, the newest of each kind.
pub fn outstanding(state: &State, user: Uuid, now: i64) -> Vec<(String, Token)> {
    let mut out: Vec<(String, Token)> = Vec::new();
    for row in state.related(Relation::TokensOfUser, user).iter().rev() {
        let Some(object) = state.get(Table::VERIFICATION, *row) else { continue };
        let (Some(id), Some(token)) = (text_at(&object, "token"), read(&object, now)) else { continue };
        let known = out.iter().any(|(_, other)| other.verifies == token.verifies);
        if !known && !matches!(token.verifies, Verifies::Registration(_)) {
            out.push((id.to_owned(), token));
        }
    }
    out
}

fn find(state: &State, table: Table, unique: Unique, token: &str, now: i64) -> Option<Token> {
    let row = state.holder(&UniqueKey::global(unique, token))?;
    read(&state.get(table, row)?, now)
}

fn read(object: &Object, now: i64) -> Option<Token> {
    if object.get("expiry").and_then(Value::as_i64).is_none_or(|expiry| expiry <= now) {
        return None;
    }
    let verifies = match text_at(object, "kind") {
        Some("registration") => Verifies::Registration(uuid_at(object, "applicationId")?),
        Some("phoneNumber") => Verifies::PhoneNumber,
        _ => Verifies::Email,
    };
    Some(Token {
        user: uuid_at(object, "userId")?,
        verifies,
        value: text_at(object, "value").map(str::to_owned),
        one_time_code: text_at(object, "oneTimeCode").map(str::to_owned),
        mailed: object.get("mailed").and_then(Value::as_bool).unwrap_or(false),
    })
}

/// Ends every change-password id of a user.
pub fn end_change_password(tx: &mut Transaction<'_>, user: Uuid) -> Result<(), StoreError> {
    end(tx, Table::CHANGE_PASSWORD, user, |_| true)
}

/// Ends a user's verification ids of one kind.
pub fn end_verifications(tx: &mut Transaction<'_>, user: Uuid, verifies: Verifies) -> Result<(), StoreError> {
    end(tx, Table::VERIFICATION, user, |object| match verifies {
        Verifies::Email => text_at(object, "kind") == Some("email"),
        Verifies::PhoneNumber => text_at(object, "kind") == Some("phoneNumber"),
        Verifies::Registration(application) => uuid_at(object, "applicationId") == Some(application),
    })
}

/// Ends every id of a user, for a deletion.
pub fn end_all(tx: &mut Transaction<'_>, user: Uuid) -> Result<(), StoreError> {
    end(tx, Table::CHANGE_PASSWORD, user, |_| true)?;
    end(tx, Table::VERIFICATION, user, |_| true)
}

fn end(
    tx: &mut Transaction<'_>,
    table: Table,
    user: Uuid,
    which: impl Fn(&Object) -> bool,
) -> Result<(), StoreError> {
    let rows: Vec<Uuid> = tx.related(Relation::TokensOfUser, user).to_vec();
    for row in rows {
        if tx.get(table, row).is_some_and(|object| which(&object)) {
            tx.delete(table, row)?;
        }
    }
    Ok(())
}
