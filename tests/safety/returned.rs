//! Secrets that FusionAuth returns, in every answer where a server may put them: they are in nothing that a run
//! prints, logs or leaves. And people's data that only the server knows, which is masked in what is printed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Map, Value, json};

use super::canary::{MARK, assert_absent, assert_files, declared, run_at, scene};
use super::proxy;
use super::scene::id;
use crate::command::shown;

/// What no manifest declares and only the server knows of a person.
const PERSONAL: &str = "p3rsonal";

/// The answer with secrets in it; as it is when it is no JSON.
fn with_secrets(answer: &[u8]) -> Vec<u8> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return answer.to_vec();
    };
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let Ok(Value::Object(mut body)) = serde_json::from_slice(&answer[end + 4..]) else {
        return answer.to_vec();
    };
    assert!(!head.to_lowercase().contains("chunked"), "{head}");
    tell(&mut body);
    for field in
        ["token", "refreshToken", "emailVerificationId", "registrationVerificationId", "oneTimePassword"]
    {
        body.insert(field.to_owned(), json!(format!("{MARK}-{field}")));
    }
    body.insert("emailVerificationIds".to_owned(), json!({"id": format!("{MARK}-one-of-several")}));
    let body = Value::Object(body).to_string();
    let kept = head.split("\r\n").filter(|line| !line.to_lowercase().starts_with("content-length"));
    let head = kept.collect::<Vec<_>>().join("\r\n");
    format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn tell(fields: &mut Map<String, Value>) {
    for (name, value) in fields.iter_mut() {
        let told: &[&str] = match name.as_str() {
            "user" | "users" => &["password", "salt", "verificationId", "changePasswordId", "trustToken"],
            "registration" | "registrations" => &["authenticationToken", "verificationId", "password"],
            "identityProviderLink" | "identityProviderLinks" => &["token", "refreshToken"],
            "entity" | "entities" => &["secret", "password"],
            _ => &[],
        };
        let objects: Vec<&mut Map<String, Value>> = match value {
            Value::Array(list) => list.iter_mut().filter_map(Value::as_object_mut).collect(),
            Value::Object(one) => vec![one],
            _ => continue,
        };
        for object in objects {
            tell(object);
            for field in told {
                object.insert((*field).to_owned(), json!(format!("{MARK}-{name}-{field}")));
            }
            match name.as_str() {
                "user" | "users" => {
                    let method = json!({"method": "authenticator", "secret": format!("{MARK}-two-factor")});
                    let codes = json!([format!("{MARK}-recovery-code")]);
                    object
                        .insert("twoFactor".to_owned(), json!({"methods": [method], "recoveryCodes": codes}));
                    object.insert("tokens".to_owned(), json!({"Google": format!("{MARK}-of-the-user")}));
                }
                "registration" | "registrations" => {
                    object
                        .insert("tokens".to_owned(), json!({"Google": format!("{MARK}-of-a-registration")}));
                }
                _ => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_that_the_server_returns_is_shown_or_kept() {
    let scene = scene().await;
    let told = Arc::new(AtomicUsize::new(0));
    let telling = told.clone();
    let url = proxy::before(&scene.world.running.url(), move |request| {
        let answer = with_secrets(&request.forward());
        let secrets = String::from_utf8_lossy(&answer).matches(MARK).count();
        telling.fetch_add(secrets, Ordering::Relaxed);
        answer
    });
    let plan = scene.path("plan.json").display().to_string();
    let check = |arguments: &[&str], exit: &[i32]| {
        let output = run_at(&scene, Some(&url), arguments);
        assert!(exit.contains(&output.status.code().unwrap()), "{arguments:?}: {}", shown(&output));
        assert_absent(&format!("{arguments:?}"), &shown(&output));
        let said = shown(&output);
        assert!(!said.contains(PERSONAL), "{arguments:?} shows what only the server knows: {said}");
    };
    for level in [1, 2] {
        // A name that the server has, and that the manifest changes.
        let name = format!("{PERSONAL}-{level}");
        let user = json!({"user": {"firstName": name, "mobilePhone": format!("+1{PERSONAL}")}});
        scene.world.request("PATCH", &format!("/api/user/{}", id(5)), user).await;
        let named = "\"firstName\":\"Declared\",\"username\":\"adopted\"";
        let text = declared(level).replace("\"username\":\"adopted\"", named);
        let file = scene.write("manifests.yaml", &text);
        for format in ["text", "json", "markdown"] {
            check(&["plan", "-f", &file, "-o", format], &[0]);
            let told = run_at(&scene, Some(&url), &["plan", "-f", &file, "-o", format, "--show-personal"]);
            assert!(shown(&told).contains(&name), "it is in the plan: {}", shown(&told));
            assert_absent(format, &shown(&told));
        }
        check(&["plan", "-f", &file, "--out", &plan], &[0]);
        check(&["apply", &plan, "-f", &file, "--auto-approve", "-o", "json"], &[0]);
        check(&["list", "-f", &file, "-o", "json"], &[0]);
        for address in ["User/initial", "Entity/made", "IdentityProviderLink/link"] {
            check(&["show", address, "-f", &file, "-o", "json"], &[0]);
        }
    }
    check(&["doctor"], &[0, 1]);
    check(&["undo", "--auto-approve", "--max-deletes=100", "--allow-hard-delete"], &[0]);
    check(
        &["destroy", "--auto-approve", "--max-deletes=100", "--max-changed-users=100", "-o", "markdown"],
        &[0],
    );
    let told = told.load(Ordering::Relaxed);
    assert!(told > 1000, "{told} secrets were told");
    assert_files(scene.folder());
    assert_absent("the record in groups", &scene.world.get("/api/group").await.to_string());
}
