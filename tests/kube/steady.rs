//! What a cluster costs when nothing happens, and what many objects cost: counted by the sandbox and the API server.

use std::time::Duration;

use crate::Test;
use crate::cluster::Cluster;
use crate::scene::{Scene, manifest};

pub const TESTS: &[Test] = &[
    ("steady::nothing_is_written_when_nothing_changes", nothing_is_written_when_nothing_changes),
    ("steady::many_objects_are_read_together", many_objects_are_read_together),
];

fn is_write(request: &str) -> bool {
    let read = request.starts_with("GET ") || request.ends_with("/search");
    !read
}

fn nothing_is_written_when_nothing_changes(cluster: &Cluster) {
    let (scene, operator) = Scene::at_work(cluster, "steady");
    scene.apply("User", "richard", "{email: r@piedpiper.com, data: {a: {b: [1, 2]}}}");
    scene.apply("EntityType", "company", "{name: Company, permissions: [{name: read}]}");
    scene.apply("Entity", "raviga", "{name: Raviga, type: {name: company}}");
    scene.apply(
        "EntityGrant",
        "reads",
        "{entity: {name: raviga}, user: {name: richard}, permissions: [read]}",
    );
    let objects = ["user.fusionkeep.dev/richard", "entitytype/company", "entity/raviga", "entitygrant/reads"];
    objects.iter().for_each(|object| scene.wait_ready(object));
    // The lock is let go half a minute after the last write.
    scene.until("the lock is let go", || {
        scene.forget_requests();
        std::thread::sleep(Duration::from_secs(7));
        !scene.requests().iter().any(|request| is_write(request))
    });
    let versions = || {
        let lines = "jsonpath={range .items[*]}{.metadata.name} {.metadata.resourceVersion}{\"\\n\"}{end}";
        [
            scene.kubectl(&[
                "get",
                "users.fusionkeep.dev,entitytypes,entities,entitygrants,fusionauthinstances",
                "-o",
                lines,
            ]),
            scene.kubectl(&["get", "events", "-o", lines]),
        ]
        .concat()
    };
    let before = versions();
    scene.forget_requests();
    std::thread::sleep(Duration::from_secs(9));
    let requests = scene.requests();
    assert!(requests.len() >= 3, "several intervals passed: {requests:?}");
    assert_eq!(requests.iter().filter(|request| is_write(request)).count(), 0, "{requests:?}");
    assert_eq!(versions(), before, "nothing is written to the API server");
    // Another start finds all as it is.
    drop(operator);
    scene.forget_requests();
    let _operator = scene.operator(&[]);
    scene.until("it is at work again", || scene.requests().len() > 3);
    std::thread::sleep(Duration::from_secs(5));
    let writes: Vec<String> = scene.requests().into_iter().filter(|request| is_write(request)).collect();
    assert!(writes.is_empty(), "{writes:?}");
    assert_eq!(versions(), before, "a start writes nothing either");
}

fn many_objects_are_read_together(cluster: &Cluster) {
    const USERS: usize = 1000;
    let scene = Scene::new(cluster, "many");
    scene.instance("interval: 1h");
    let users: String =
        (0..USERS).map(|n| manifest("User", &format!("u{n}"), &format!("{{username: many{n}}}"))).collect();
    let arguments = ["create", "--validate=false", "-n", &scene.namespace, "-f", "-"];
    let (success, said) = cluster.kubectl_with(&arguments, &users);
    assert!(success, "{said}");
    let mut operator = scene.operator(&[]);
    let ready = || {
        let path = "jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].status}";
        scene.kubectl(&["get", "users.fusionkeep.dev", "-o", path]).matches("True").count()
    };
    cluster.wait_until("all are ready", Duration::from_secs(180), || ready() == USERS);
    // What is not there yet is not asked for one by one, and everything is written once.
    let requests = scene.requests();
    let of_one = |method: &str| {
        let prefix = format!("{method} /api/user/");
        requests
            .iter()
            .filter(|request| request.starts_with(&prefix) && !request.ends_with("/search"))
            .count()
    };
    assert_eq!((of_one("GET"), of_one("POST")), (0, USERS));
    assert!(requests.len() < USERS + USERS / 5, "{} requests", requests.len());
    operator.signal("TERM");
    assert!(operator.wait().success());
    scene.forget_requests();
    let _operator = scene.operator(&[]);
    scene.until("it is at work again", || {
        scene.requests().iter().any(|request| request.contains("/api/user"))
    });
    std::thread::sleep(Duration::from_secs(10));
    let requests = scene.requests();
    assert!(requests.len() <= 10, "{} requests: {requests:?}", requests.len());
    // One drift cycle: asked for, it comes at once.
    scene.forget_requests();
    scene.annotate("fusionauthinstance/default", "fusionkeep.dev/reconcile=now");
    scene.until("the cycle begins", || !scene.requests().is_empty());
    std::thread::sleep(Duration::from_secs(6));
    let requests = scene.requests();
    let pages = requests.iter().filter(|request| request.ends_with("/api/user/search")).count();
    let others = requests.len() - pages;
    assert!(pages > 0, "{requests:?}");
    // 10,000 users and 1,000 entities are eleven times as many pages, in six chunks that each look up anew.
    assert!(11 * pages + 6 * others <= 60, "{pages} pages and {others} others: {requests:?}");
}
