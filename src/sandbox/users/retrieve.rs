//! `GET /api/user` in all its forms.

use super::super::call::{Call, Caller};
use super::super::reply::{Outcome, Reply, general_error};
use super::super::store::State;
use super::create::answer;
use super::model::User;
use super::names::{self, login_id_types, visible};
use super::view::Shown;
use super::{login, tokens};

/// `GET /api/user/{userId}`
pub fn by_id(call: &Call<'_>) -> Outcome {
    let id = call.required_id("userId")?;
    let state = call.read();
    let user = visible(call, &state, id)?;
    Ok(answer(&state, call, &user, None, Shown::retrieved(call.version())))
}

/// `GET /api/user?email=|username=|loginId=|changePasswordId=|verificationId=`, or with a user's JWT.
pub fn by_parameter(call: &Call<'_>) -> Outcome {
    let state = call.read();
    if let Caller::Bearer(token) = &call.caller {
        let user = login::user_of_token(call, &state, token)?;
        return Ok(answer(&state, call, &user, None, Shown::new(call.version())));
    }
    let user = find(call, &state)?;
    Ok(answer(&state, call, &user, None, Shown::retrieved(call.version())))
}

fn find(call: &Call<'_>, state: &State) -> Result<User, Reply> {
    let now = call.now();
    let id = if let Some(login_id) = call.query("loginId") {
        let types = login_id_types(call, call.query_all("loginIdTypes"))?;
        names::by_login_id(state, call.required_scope(state)?, login_id, &types).map(|(id, _)| id)
    } else if let Some(email) = call.query("email") {
        names::by_email(state, call.required_scope(state)?, email)
    } else if let Some(username) = call.query("username") {
        names::by_username(state, call.required_scope(state)?, username)
    } else if let Some(token) = call.query("changePasswordId") {
        tokens::find_change_password(state, token, now).map(|token| token.user)
    } else if let Some(token) = call.query("verificationId") {
        tokens::find_verification(state, token, now).map(|token| token.user)
    } else {
        let message = "One of userId, loginId, email, username, changePasswordId, verificationId is needed.";
        return Err(general_error(400, "MissingParameter", message));
    };
    visible(call, state, id.ok_or_else(Reply::not_found)?)
}
