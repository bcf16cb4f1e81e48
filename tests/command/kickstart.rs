//! A Kickstart user's first step: manifests for what the file made are adopted, and nothing is written.

use serde_json::{Value, json};

use crate::command::place::{Place, report};
use crate::command::{run, shown};

/// A public file's shape: users with registrations in one request, in FusionAuth's own application and in one of
/// theirs, with a theme whose templates lie elsewhere.
fn combined() -> Value {
    let both = |id: u8, email: &str, user: Value, registration: Value| {
        let mut user = user;
        user["email"] = json!(email);
        user["password"] = json!("password");
        json!({
            "method": "POST",
            "url": format!("/api/user/registration/00000000-0000-0000-0000-0000000000{id:02}"),
            "body": {"user": user, "registration": registration, "skipRegistrationVerification": true},
        })
    };
    json!({
        "variables": {"app": "A9E0C1D2-0001-4000-8000-00000000000A", "theme": "#{UUID()}"},
        "apiKeys": [{"key": "kickstart-adoption"}],
        "requests": [
            {"method": "POST", "url": "/api/application/#{app}",
             "body": {"application": {"name": "Portal", "roles": [{"name": "clerk", "isDefault": true}]}}},
            both(1, "chief@example.com", json!({"firstName": "Ada", "birthDate": "1981-06-04", "data": {"desk": {"floor": 3}}}),
                 json!({"applicationId": "#{FUSIONAUTH_APPLICATION_ID}", "roles": ["admin"]})),
            both(2, "clerk@example.com", json!({"firstName": "Bo"}),
                 json!({"applicationId": "#{app}", "data": {"color": "teal"}})),
            {"method": "POST", "url": "/api/theme/#{theme}",
             "body": {"theme": {"name": "Ours", "stylesheet": "@{css/missing.css}"}}},
        ],
    })
}

const COMBINED: &str = "
apiVersion: fusionkeep.dev/v1alpha1
kind: User
metadata: { name: chief }
spec:
  email: Chief@Example.com
  firstName: Ada
  birthDate: \"1981-06-04\"
  data: { desk: { floor: 3 } }
  registrations:
    - application: { name: FusionAuth }
      roles: [admin]
  policy: { adoption: Match }
---
apiVersion: fusionkeep.dev/v1alpha1
kind: User
metadata: { name: clerk }
spec:
  id: 00000000-0000-0000-0000-000000000002
  email: clerk@example.com
  registrations:
    - application: { id: a9e0c1d2-0001-4000-8000-00000000000a }
      roles: [clerk]
      data: { color: teal }
  policy: { adoption: Match }
";

/// Another public file's shape: each request a file of its own, users first and their registrations later, families.
fn families(place: &Place) -> Value {
    let user = |id: &str, email: &str, birth: &str| {
        json!({"method": "POST", "url": format!("/api/user/#{{{id}}}"),
               "body": {"user": {"email": email, "birthDate": birth, "password": "password"}}})
    };
    place.write("parent.json", &user("parent", "parent@example.com", "1980-02-03").to_string());
    place.write("child.json", &user("child", "child@example.com", "2016-02-03").to_string());
    let register = json!({"method": "POST", "url": "api/user/registration/#{parent}",
                          "body": {"registration": {"applicationId": "#{FUSIONAUTH_APPLICATION_ID}"}}});
    place.write("register.json", &register.to_string());
    let family = |user: &str, role: &str| {
        json!({"method": "POST", "url": "/api/user/family/#{family}",
               "body": {"familyMember": {"userId": format!("#{{{user}}}"), "role": role, "owner": role == "Adult"}}})
    };
    json!({
        "variables": {"parent": "#{UUID()}", "child": "#{UUID()}", "family": "#{UUID()}"},
        "apiKeys": [{"key": "kickstart-adoption"}],
        "requests": ["&{parent.json}", "&{child.json}", "&{register.json}", family("parent", "Adult"), family("child", "Child")],
    })
}

const FAMILIES: &str = "
apiVersion: fusionkeep.dev/v1alpha1
kind: User
metadata: { name: parent }
spec:
  email: parent@example.com
  birthDate: \"1980-02-03\"
  registrations: [{ application: { name: FusionAuth } }]
  policy: { adoption: Match }
---
apiVersion: fusionkeep.dev/v1alpha1
kind: User
metadata: { name: child }
spec: { email: child@example.com, birthDate: \"2016-02-03\", policy: { adoption: Match } }
";

fn adopts_without_a_write(place: &Place, kickstart: &Value, manifests: &str) {
    let kickstart = place.write("kickstart.json", &kickstart.to_string());
    let manifests = place.write("users.yaml", manifests);
    let (sandbox, kickstart) = (place.sandbox(), format!("--sandbox-kickstart={kickstart}"));
    let run =
        |command: &[&str]| run(&[command, &["-f", &manifests, &sandbox, &kickstart, "-o", "json"]].concat());
    let applied = run(&["apply", "--auto-approve"]);
    assert_eq!(applied.status.code(), Some(0), "{}", shown(&applied));
    let summary = report(&applied)["summary"].clone();
    assert_eq!(summary["adopt"], 2, "{summary:#}");
    for nothing in ["create", "update", "delete", "withheld", "failed"] {
        assert_eq!(summary[nothing], 0, "{summary:#}");
    }
    assert_eq!(summary["apiCalls"], json!({"predicted": 0, "actual": 0}));
    let again = report(&run(&["plan"]))["summary"].clone();
    assert_eq!((&again["adopt"], &again["unchanged"]), (&json!(0), &json!(2)), "{again:#}");
}

#[test]
fn users_that_a_kickstart_file_registers_are_adopted_without_a_write() {
    adopts_without_a_write(&Place::new(), &combined(), COMBINED);
}

#[test]
fn users_of_a_kickstart_file_in_parts_are_adopted_without_a_write() {
    let place = Place::new();
    let file = families(&place);
    adopts_without_a_write(&place, &file, FAMILIES);
}
