//! Made records of what no sample has: chains of roles, pairs of accounts, Identity Center, late issuers,
//! two issuers in one second, rotation in the console, circles.

use std::fs;

use serde_json::{Value, json};
use wire::{TraceCertainty, TraceKind, TracePlace, TraceRule};

use super::{addresses, down, node, origins, up};
use crate::common::{Daemon, PATIENCE, Place, make_old};

const ACCOUNT: &str = "111122223333";

/// A record at this second, with these members in place of the usual ones.
fn record(second: u64, members: &Value) -> Value {
    let mut record = json!({
        "eventVersion": "1.11", "eventTime": format!("2025-05-01T10:00:{second:02}Z"),
        "eventSource": "sts.amazonaws.com", "eventName": "GetCallerIdentity",
        "awsRegion": "eu-west-1", "sourceIPAddress": "203.0.113.7", "recipientAccountId": ACCOUNT,
        "eventType": "AwsApiCall", "managementEvent": true, "eventCategory": "Management",
    });
    for (key, value) in members.as_object().unwrap() {
        record[key] = value.clone();
    }
    record
}

fn id(n: u64) -> String {
    format!("{n:08x}-0000-4000-8000-000000000000")
}

/// The key that ends in this letter.
fn key(letter: char) -> String {
    format!("ASIAMADEUP000000000{letter}")
}

fn user(name: &str, key: &str) -> Value {
    json!({"type": "IAMUser", "principalId": format!("AIDA{}", name.to_uppercase()), "userName": name,
        "arn": format!("arn:aws:iam::{ACCOUNT}:user/{name}"), "accountId": ACCOUNT, "accessKeyId": key})
}

/// The identity of a session of a role that began in this second.
fn session(role: &str, name: &str, began: u64, key: &str) -> Value {
    json!({"type": "AssumedRole", "principalId": format!("AROA{}:{name}", role.to_uppercase()),
        "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}"), "accountId": ACCOUNT,
        "accessKeyId": key,
        "sessionContext": {
            "sessionIssuer": {"type": "Role", "userName": role, "accountId": ACCOUNT,
                "principalId": format!("AROA{}", role.to_uppercase()),
                "arn": format!("arn:aws:iam::{ACCOUNT}:role/{role}")},
            "attributes": {"creationDate": format!("2025-05-01T10:00:{began:02}Z"),
                "mfaAuthenticated": "false"}}})
}

/// An AssumeRole in this second, by whom, of a role's session, that issued a key.
fn assume(n: u64, second: u64, by: &Value, role: &str, name: &str, key: &str) -> Value {
    record(
        second,
        &json!({"eventID": id(n), "eventName": "AssumeRole", "userIdentity": by,
        "requestParameters": {"roleArn": format!("arn:aws:iam::{ACCOUNT}:role/{role}"),
            "roleSessionName": name},
        "responseElements": {"credentials": {"accessKeyId": key},
            "assumedRoleUser": {"assumedRoleId": format!("AROA{}:{name}", role.to_uppercase()),
                "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}")}}}),
    )
}

fn used(n: u64, second: u64, by: &Value) -> Value {
    record(second, &json!({"eventID": id(n), "userIdentity": by}))
}

fn daemon(records: &[Value]) -> (Place, Daemon) {
    let place = Place::new();
    write(&place, "a.json", records);
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, records.len() as u64);
    (place, daemon)
}

fn write(place: &Place, name: &str, records: &[Value]) {
    let path = place.archive().join(name);
    fs::write(&path, json!({ "Records": records }).to_string()).unwrap();
    make_old(&path);
}

#[test]
fn a_chain_of_three_roles_is_followed_both_ways() {
    let nora = user("nora", "AKIAMADEUP0000000000");
    let mut chained = session("third", "c", 3, &key('C'));
    chained["sessionContext"]["sourceIdentity"] = json!("nora@example.com");
    let (_place, daemon) = daemon(&[
        assume(1, 1, &nora, "first", "a", &key('A')),
        assume(2, 2, &session("first", "a", 1, &key('A')), "second", "b", &key('B')),
        assume(3, 3, &session("second", "b", 2, &key('B')), "third", "c", &key('C')),
        used(4, 4, &chained),
    ]);
    let trace = up(&daemon, &key('C'));
    let chain = ["principal:111122223333/nora", "key:AKIAMADEUP0000000000"];
    let chain = chain.map(str::to_owned).into_iter();
    let chain: Vec<String> =
        chain.chain(['A', 'B', 'C'].map(|letter| format!("key:{}", key(letter)))).collect();
    for (n, pair) in (0..).zip(chain.windows(2)) {
        let [(from, event, rule, certainty)] = origins(&trace, &pair[1])[..] else { panic!("{n}") };
        let expected = if n == 0 { TraceRule::Owner } else { TraceRule::IssuedKey };
        assert_eq!((from, rule, certainty), (pair[0].as_str(), expected, TraceCertainty::Certain));
        assert_eq!(event, if n == 0 { String::new() } else { id(n) });
    }
    assert_eq!(node(&trace, &chain[4]).notes, ["sourceIdentity is nora@example.com"]);
    let trace = down(&daemon, "AKIAMADEUP0000000000");
    assert_eq!(node(&trace, &chain[4]).place, TracePlace::Descendant);
    assert_eq!(trace.edges.len(), 4);
}

#[test]
fn a_call_with_records_in_two_accounts_is_one_event() {
    let nora = user("nora", "AKIAMADEUP0000000000");
    let mut own = assume(1, 1, &nora, "theirs", "x", &key('A'));
    own["sharedEventID"] = json!("shared-1");
    own["responseElements"] = json!(null);
    let outsider = json!({"type": "AWSAccount", "principalId": "AIDANORA", "accountId": ACCOUNT});
    let mut theirs = assume(2, 1, &outsider, "theirs", "x", &key('A'));
    theirs["sharedEventID"] = json!("shared-1");
    theirs["recipientAccountId"] = json!("444455556666");
    let (_place, daemon) =
        daemon(&[own, theirs, used(3, 2, &session("theirs", "x", 1, &key('A')))]);
    let trace = up(&daemon, &key('A'));
    let subject = format!("key:{}", key('A'));
    assert_eq!(
        origins(&trace, &subject),
        [("key:AKIAMADEUP0000000000", &*id(1), TraceRule::IssuedKey, TraceCertainty::Certain)]
    );
    let edge = trace.edges.iter().find(|edge| edge.to == subject).unwrap();
    let [other] = &edge.event.as_ref().unwrap().shared[..] else { panic!("{edge:#?}") };
    assert_eq!((other.id.as_str(), other.account.as_str()), (&*id(2), "444455556666"));
}

#[test]
fn two_issuers_in_one_second_are_both_shown() {
    let nora = user("nora", "AKIAMADEUP0000000000");
    let olaf = user("olaf", "AKIAMADEUP0000000001");
    let mut forwarded = session("shared", "job", 1, &key('Z'));
    forwarded["invokedBy"] = json!("athena.amazonaws.com");
    let (_place, daemon) = daemon(&[
        assume(1, 1, &nora, "shared", "job", &key('A')),
        assume(2, 1, &olaf, "shared", "job", &key('B')),
        used(3, 2, &session("shared", "job", 1, &key('C'))),
        used(4, 3, &forwarded),
    ]);
    let trace = up(&daemon, &key('C'));
    assert_eq!(
        origins(&trace, &format!("key:{}", key('C'))),
        [
            (
                "key:AKIAMADEUP0000000000",
                &*id(1),
                TraceRule::SessionTime,
                TraceCertainty::Ambiguous
            ),
            (
                "key:AKIAMADEUP0000000001",
                &*id(2),
                TraceRule::SessionTime,
                TraceCertainty::Ambiguous
            ),
        ]
    );
    // A key that a service made for the session comes of the session's, whichever it was.
    let trace = up(&daemon, &key('Z'));
    let (a, b) = (format!("key:{}", key('A')), format!("key:{}", key('B')));
    assert_eq!(
        origins(&trace, &format!("key:{}", key('Z'))),
        [
            (&*a, &*id(1), TraceRule::Forwarded, TraceCertainty::Ambiguous),
            (&*b, &*id(2), TraceRule::Forwarded, TraceCertainty::Ambiguous),
        ]
    );
}

#[test]
fn an_issuer_that_arrives_late_is_a_gap_until_then() {
    let nora = user("nora", "AKIAMADEUP0000000000");
    let (place, daemon) = daemon(&[used(2, 2, &session("ops", "x", 1, &key('A')))]);
    let trace = up(&daemon, &key('A'));
    let subject = format!("key:{}", key('A'));
    let [gap] = &trace.gaps[..] else { panic!("{trace:#?}") };
    assert_eq!((gap.node.as_str(), gap.time.as_deref()), (&*subject, Some("2025-05-01T10:00:01Z")));
    assert_eq!((gap.files.len(), gap.files_total), (1, Some(1)));
    let role = "role:arn:aws:iam::111122223333:role/ops";
    assert_eq!(origins(&trace, &subject), [(role, "", TraceRule::Owner, TraceCertainty::Certain)]);
    write(&place, "late.json", &[assume(1, 1, &nora, "ops", "x", &key('A'))]);
    daemon.wait_indexed(PATIENCE, 2);
    let trace = up(&daemon, &key('A'));
    assert!(trace.gaps.is_empty());
    assert_eq!(
        origins(&trace, &subject),
        [("key:AKIAMADEUP0000000000", &*id(1), TraceRule::IssuedKey, TraceCertainty::Certain)]
    );
}

#[test]
fn identity_center_hides_keys_and_that_is_said() {
    let saml = json!({"type": "SAMLUser", "principalId": "idp:nora@example.com",
        "userName": "nora@example.com", "identityProvider": "idp"});
    let role = "AWSReservedSSO_Admin_0123456789abcdef";
    let mut issued =
        assume(1, 1, &saml, role, "nora@example.com", "HIDDEN_DUE_TO_SECURITY_REASONS");
    issued["eventName"] = json!("AssumeRoleWithSAML");
    let mut by = session(role, "nora@example.com", 1, &key('A'));
    by["onBehalfOf"] =
        json!({"userId": "d-1", "identityStoreArn": "arn:aws:identitystore::1:identitystore/d"});
    let (_place, daemon) = daemon(&[issued, used(2, 2, &by)]);
    let trace = up(&daemon, &key('A'));
    let subject = format!("key:{}", key('A'));
    assert_eq!(
        origins(&trace, &subject),
        [(
            "principal:idp/nora@example.com",
            &*id(1),
            TraceRule::SessionTime,
            TraceCertainty::Likely
        )]
    );
    let notes = &node(&trace, &subject).notes;
    assert!(notes.iter().any(|note| note.contains("HIDDEN_DUE_TO_SECURITY_REASONS")), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("onBehalfOf the Identity Center user d-1")));
}

#[test]
fn keys_of_the_console_rotate_within_one_session() {
    let console = |key: &str| {
        let mut by = user("nora", key);
        by["sessionContext"] = json!({"attributes": {"creationDate": "2025-05-01T10:00:01Z", "mfaAuthenticated": "true"}});
        by
    };
    let login = |n: u64| {
        let mut by = user("nora", "");
        by.as_object_mut().unwrap().remove("accessKeyId");
        record(
            1,
            &json!({"eventID": id(n), "eventName": "ConsoleLogin", "userIdentity": by,
            "eventSource": "signin.amazonaws.com", "responseElements": {"ConsoleLogin": "Success"}}),
        )
    };
    let mut failed = login(9);
    failed["responseElements"] = json!({"ConsoleLogin": "Failure"});
    let create = record(
        5,
        &json!({"eventID": id(5), "eventName": "CreateAccessKey",
        "eventSource": "iam.amazonaws.com", "userIdentity": console(&key('B')),
        "requestParameters": {"userName": "backdoor"},
        "responseElements": {"accessKey": {"accessKeyId": "AKIAMADEUP000000BACK",
            "userName": "backdoor", "status": "Active"}}}),
    );
    let records = [
        failed,
        login(1),
        used(2, 2, &console(&key('A'))),
        used(3, 3, &console(&key('B'))),
        create,
    ];
    let (place, daemon) = daemon(&records);
    let session = "session:AIDANORA@2025-05-01T10:00:01Z";
    let trace = up(&daemon, &key('B'));
    assert_eq!((node(&trace, session).keys, node(&trace, session).uses), (Some(2), Some(3)));
    let nora = "principal:111122223333/nora";
    assert_eq!(
        origins(&trace, session),
        [(nora, &*id(1), TraceRule::Console, TraceCertainty::Likely)]
    );
    // What any of its keys made is the session's.
    let trace = down(&daemon, "nora");
    let back = "key:AKIAMADEUP000000BACK";
    assert_eq!(
        origins(&trace, back),
        [(session, &*id(5), TraceRule::IssuedKey, TraceCertainty::Certain)]
    );
    assert_eq!(node(&trace, back).uses, Some(0));
    // And upwards from the key that was made.
    let trace = up(&daemon, "AKIAMADEUP000000BACK");
    assert!(trace.nodes.iter().any(|node| node.id == session), "{trace:#?}");
    // Two sign-ins in one second.
    write(&place, "b.json", &[login(7)]);
    daemon.wait_indexed(PATIENCE, 6);
    let trace = up(&daemon, &key('B'));
    assert_eq!(
        origins(&trace, session),
        [
            (nora, &*id(1), TraceRule::Console, TraceCertainty::Ambiguous),
            (nora, &*id(7), TraceRule::Console, TraceCertainty::Ambiguous),
        ]
    );
}

#[test]
fn a_circle_ends_and_a_session_used_from_two_addresses_stands_out() {
    // A key that was, by these records, issued with credentials that it issued itself.
    let (a, b) = (session("one", "x", 1, &key('A')), session("two", "y", 2, &key('B')));
    let mut far = used(4, 5, &a);
    far["sourceIPAddress"] = json!("198.51.100.9");
    let (_place, daemon) = daemon(&[
        assume(1, 1, &b, "one", "x", &key('A')),
        assume(2, 2, &a, "two", "y", &key('B')),
        used(3, 3, &a),
        far,
    ]);
    let trace = down(&daemon, &key('A'));
    assert_eq!(trace.edges.len(), 2, "{trace:#?}");
    let subject = node(&trace, &format!("key:{}", key('A')));
    assert_eq!(addresses(subject), [("203.0.113.7", 2), ("198.51.100.9", 1)]);
    assert_eq!(
        subject.alerts,
        ["1 use from 198.51.100.9; most of the session's are from 203.0.113.7"]
    );
}

#[test]
fn functions_and_federated_users_are_joined() {
    let nora = user("nora", "AKIAMADEUP0000000000");
    let lambda = json!({"type": "AWSService", "invokedBy": "lambda.amazonaws.com"});
    let create = record(
        1,
        &json!({"eventID": id(1), "eventName": "CreateFunction20150331",
        "eventSource": "lambda.amazonaws.com", "userIdentity": nora,
        "requestParameters": {"functionName": "resize", "role": "arn:aws:iam::111122223333:role/fn"},
        "responseElements": {"functionName": "resize"}}),
    );
    let federated = json!({"type": "FederatedUser", "principalId": "111122223333:guest",
        "arn": "arn:aws:sts::111122223333:federated-user/guest", "accountId": ACCOUNT,
        "accessKeyId": key('F'),
        "sessionContext": {"sessionIssuer": {"type": "IAMUser", "userName": "nora"},
            "attributes": {"creationDate": "2025-05-01T10:00:05Z"}}});
    let token = record(
        5,
        &json!({"eventID": id(5), "eventName": "GetFederationToken",
        "userIdentity": user("nora", "AKIAMADEUP0000000000"), "requestParameters": {"name": "guest"},
        "responseElements": {"federatedUser": {"federatedUserId": "111122223333:guest"}}}),
    );
    let (_place, daemon) = daemon(&[
        create,
        assume(2, 2, &lambda, "fn", "resize", &key('A')),
        used(3, 3, &session("fn", "resize", 2, &key('A'))),
        token,
        used(6, 6, &federated),
    ]);
    let trace = up(&daemon, &key('A'));
    let function = "function:resize";
    assert_eq!(node(&trace, function).kind, TraceKind::Function);
    assert_eq!(origins(&trace, &format!("key:{}", key('A')))[0].0, function);
    assert_eq!(
        origins(&trace, function),
        [("key:AKIAMADEUP0000000000", &*id(1), TraceRule::Made, TraceCertainty::Certain)]
    );
    // The token's answer has no key: the federated user and the time join it.
    let trace = up(&daemon, &key('F'));
    assert_eq!(
        origins(&trace, &format!("key:{}", key('F'))),
        [("key:AKIAMADEUP0000000000", &*id(5), TraceRule::SessionTime, TraceCertainty::Likely)]
    );
    let trace = down(&daemon, "nora");
    let made = ["function:resize".to_owned(), format!("key:{}", key('A'))];
    assert!(made.iter().all(|id| trace.nodes.iter().any(|node| node.id == *id)), "{trace:#?}");
}

/// Who starts an instance writes its tags and user data, and can name another's instance there.
#[test]
fn who_only_mentions_an_instance_did_not_make_it() {
    const THING: &str = "i-0aaaaaaaaaaaaaaaa";
    let run = |n: u64, by: &str, instance: &str, name: &str| {
        let tags = json!([{"key": "Name", "value": name}]);
        record(
            n,
            &json!({"eventID": id(n), "eventName": "RunInstances", "eventSource": "ec2.amazonaws.com",
            "userIdentity": user(by, &format!("AKIAMADEUP000000000{n}")),
            "requestParameters": {"iamInstanceProfile": {"name": "web"},
                "tagSpecificationSet": {"items": [{"tags": tags}]}},
            "responseElements": {"instancesSet": {"items": [
                {"instanceId": instance, "tagSet": {"items": tags}}]}}}),
        )
    };
    let (_place, daemon) = daemon(&[
        run(1, "mallory", "i-0bbbbbbbbbbbbbbbb", THING),
        run(2, "nora", THING, "web"),
        run(3, "mallory", "i-0cccccccccccccccc", &format!("instance/{THING}")),
    ]);
    let trace = up(&daemon, THING);
    let id = format!("instance:{THING}");
    let made: Vec<&str> = origins(&trace, &id).into_iter().map(|(_, event, ..)| event).collect();
    assert_eq!(made, [self::id(2).as_str()]);
    assert!(trace.nodes.iter().all(|node| !node.who.contains("mallory")), "{trace:#?}");
}
