//! Statements as CloudTrail Lake's users write them, with the same features as the published samples. The
//! expected rows are worked out by hand from the records below.

use super::index::Index;
use super::{check, lines, rows, rows_with};
use crate::session::Options;

const RECORDS: &[&str] = &[
    // An assumed role reads an object.
    r#"{"eventVersion":"1.08","eventTime":"2023-07-10T10:00:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"us-east-1","sourceIPAddress":"198.51.100.7","userAgent":"aws-cli/2.0","readOnly":true,"managementEvent":false,"eventCategory":"Data","recipientAccountId":"111111111111","eventID":"e1","requestID":"r1","userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::111111111111:assumed-role/dev/alice","principalId":"P:alice","accountId":"111111111111","accessKeyId":"ASIA1","sessionContext":{"sessionIssuer":{"type":"Role","arn":"arn:aws:iam::111111111111:role/dev","userName":"dev"},"attributes":{"creationDate":"2023-07-10T09:30:00Z","mfaAuthenticated":"false"}}},"requestParameters":{"bucketName":"data","key":"a/b.csv","maxKeys":5},"responseElements":null,"additionalEventData":{"bytesTransferredOut":1024.0,"SSEApplied":"Default_SSE_S3"},"resources":[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::data/a/b.csv"},{"accountId":"111111111111","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::data"}],"tlsDetails":{"tlsVersion":"TLSv1.2","cipherSuite":"X","clientProvidedHostHeader":"data.s3.amazonaws.com"}}"#,
    // A user is denied.
    r#"{"eventVersion":"1.08","eventTime":"2023-07-10T11:00:00Z","eventSource":"s3.amazonaws.com","eventName":"PutObject","awsRegion":"us-east-1","sourceIPAddress":"198.51.100.8","errorCode":"AccessDenied","errorMessage":"Access Denied","readOnly":false,"managementEvent":false,"eventCategory":"Data","recipientAccountId":"111111111111","eventID":"e2","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::111111111111:user/bob","accountId":"111111111111","userName":"bob","accessKeyId":"AKIA2"},"requestParameters":{"bucketName":"data","x-amz-acl":"public-read"},"responseElements":null,"tlsDetails":{"tlsVersion":"TLSv1.1"}}"#,
    // A security group is opened.
    r#"{"eventVersion":"1.08","eventTime":"2023-07-11T08:15:30.250Z","eventSource":"ec2.amazonaws.com","eventName":"AuthorizeSecurityGroupIngress","awsRegion":"eu-west-1","sourceIPAddress":"203.0.113.9","readOnly":false,"managementEvent":true,"eventCategory":"Management","recipientAccountId":"222222222222","eventID":"e3","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::222222222222:user/bob","accountId":"222222222222","userName":"bob","accessKeyId":"AKIA2"},"requestParameters":{"groupId":"sg-1","ipPermissions":{"items":[{"fromPort":22,"ipRanges":{"items":[{"cidrIp":"0.0.0.0/0"}]}}]}},"responseElements":{"_return":true,"instancesSet":{"items":[{"instanceId":"i-1"},{"instanceId":"i-2"}]}}}"#,
    // Somebody signs in without a second factor.
    r#"{"eventVersion":"1.08","eventTime":"2023-07-12T23:59:59Z","eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","awsRegion":"us-east-1","sourceIPAddress":"203.0.113.9","readOnly":false,"managementEvent":true,"eventCategory":"Management","recipientAccountId":"111111111111","eventID":"e4","userIdentity":{"type":"Root","arn":"arn:aws:iam::111111111111:root","accountId":"111111111111"},"requestParameters":null,"responseElements":{"ConsoleLogin":"Success"},"additionalEventData":{"MFAUsed":"No","LoginTo":"https://console.aws.amazon.com/console/home?state=x#y"}}"#,
    // A role is assumed by a service, as policies in texts.
    r#"{"eventVersion":"1.08","eventTime":"2023-07-16T00:00:00Z","eventSource":"iam.amazonaws.com","eventName":"PutRolePolicy","awsRegion":"us-east-1","sourceIPAddress":"cloudformation.amazonaws.com","readOnly":false,"managementEvent":true,"eventCategory":"Management","recipientAccountId":"111111111111","eventID":"e5","userIdentity":{"type":"AWSService","invokedBy":"cloudformation.amazonaws.com"},"requestParameters":{"roleName":"r","policyDocument":"{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:*\",\"ec2:*\"]}]}"},"responseElements":null}"#,
];

pub(super) fn records() -> Vec<String> {
    RECORDS.iter().map(|record| (*record).to_owned()).collect()
}

fn index() -> Index {
    Index::of(&records(), 2)
}

#[test]
fn times_are_compared_with_texts() {
    let index = index();
    let ids = |condition: &str| {
        lines(
            &index,
            &format!("SELECT eventid FROM cloudtrail WHERE {condition} ORDER BY eventtime"),
        )
    };
    assert_eq!(ids("eventtime > '2023-07-11 00:00:00'"), ["e3", "e4", "e5"]);
    assert_eq!(
        ids("eventTime >= '2023-07-11 08:15:30.250' AND eventTime < '2023-07-12 23:59:59'"),
        ["e3"]
    );
    assert_eq!(ids("eventtime BETWEEN '2023-07-10T11:00:00Z' AND '2023-07-11'"), ["e2"]);
    assert_eq!(ids("eventtime > timestamp '2023-07-12 00:00:00'"), ["e4", "e5"]);
    assert_eq!(ids("date(eventtime) = date '2023-07-10'"), ["e1", "e2"]);
    assert_eq!(ids("eventtime > now() - interval '1' day"), [""; 0]);
    assert_eq!(
        ids("eventtime > date_add('day', -1, timestamp '2023-07-13 00:00:00')"),
        ["e4", "e5"]
    );
    assert_eq!(
        ids("eventtime <= '2023-07-10 10:00:00' OR eventtime = '2023-07-16 00:00:00'"),
        ["e1", "e5"]
    );
}

#[test]
fn structs_are_read_by_name_in_any_case() {
    let index = index();
    check(
        &index,
        "SELECT userIdentity.arn AS a, useridentity.sessionContext.sessionIssuer.userName AS b, \
         userIdentity.sessioncontext.attributes.creationdate AS c FROM cloudtrail \
         WHERE userIdentity.type = 'AssumedRole'",
        &["arn:aws:sts::111111111111:assumed-role/dev/alice|dev|2023-07-10T09:30:00Z"],
    );
    check(
        &index,
        "SELECT e.useridentity.accountid AS a, count(*) AS n FROM cloudtrail AS e \
         WHERE e.useridentity.username = 'bob' GROUP BY e.useridentity.accountid ORDER BY a",
        &["111111111111|1", "222222222222|1"],
    );
    check(
        &index,
        "SELECT tlsdetails.tlsversion AS a, count(*) AS n FROM cloudtrail \
         WHERE tlsdetails.tlsversion IN ('TLSv1', 'TLSv1.1') GROUP BY 1",
        &["TLSv1.1|1"],
    );
    check(
        &index,
        "SELECT count(*) AS n FROM cloudtrail WHERE useridentity.sessioncontext IS NULL",
        &["4"],
    );
}

#[test]
fn maps_have_texts_at_keys() {
    let index = index();
    check(
        &index,
        "SELECT element_at(requestParameters, 'bucketName') AS a, requestparameters['maxKeys'] AS b, \
         element_at(additionalEventData, 'bytesTransferredOut') AS c, element_at(responseelements, 'x') AS d \
         FROM cloudtrail WHERE eventname = 'GetObject'",
        &["data|5|1024.0|null"],
    );
    check(
        &index,
        "SELECT eventid FROM cloudtrail WHERE element_at(requestparameters, 'bucketName') = 'data' \
         AND element_at(requestparameters, 'x-amz-acl') LIKE 'public%'",
        &["e2"],
    );
    check(
        &index,
        "SELECT element_at(requestparameters, 'ipPermissions') AS a FROM cloudtrail \
         WHERE element_at(requestparameters, 'ipPermissions') LIKE '%0.0.0.0/0%'",
        &[r#"{"items":[{"fromPort":22,"ipRanges":{"items":[{"cidrIp":"0.0.0.0/0"}]}}]}"#],
    );
    check(
        &index,
        "SELECT requestparameters AS a, count(*) AS n FROM cloudtrail WHERE requestparameters IS NOT NULL \
         AND eventname = 'PutObject' GROUP BY requestparameters",
        &[r#"{"bucketName":"data","x-amz-acl":"public-read"}|1"#],
    );
    check(
        &index,
        "SELECT cardinality(requestparameters) AS n FROM cloudtrail WHERE eventid = 'e1'",
        &["3"],
    );
}

#[test]
fn lists_have_items_at_places() {
    let index = index();
    check(
        &index,
        "SELECT element_at(resources, 1).arn AS a, element_at(resources, 2).type AS b, \
         element_at(resources, 3).arn AS c, element_at(resources, -1).accountId AS d, resources[1].type AS e \
         FROM cloudtrail WHERE eventid = 'e1'",
        &["arn:aws:s3:::data/a/b.csv|AWS::S3::Bucket|null|111111111111|AWS::S3::Object"],
    );
    check(
        &index,
        "SELECT eventid FROM cloudtrail WHERE any_match(resources, x -> x.type = 'AWS::S3::Bucket')",
        &["e1"],
    );
    check(
        &index,
        "SELECT cardinality(filter(resources, x -> x.type = 'AWS::S3::Bucket')) AS n FROM cloudtrail \
         WHERE resources IS NOT NULL",
        &["1"],
    );
}

#[test]
fn json_is_taken_apart() {
    let index = index();
    check(
        &index,
        "SELECT json_extract_scalar(element_at(requestparameters, 'policyDocument'), '$.Statement[0].Effect') AS a, \
         json_extract(element_at(requestparameters, 'policyDocument'), '$.Statement[0].Action') AS b, \
         json_array_length(json_extract(element_at(requestparameters, 'policyDocument'), '$.Statement[0].Action')) AS c, \
         CAST(json_extract(eventjson, '$.eventName') AS varchar) AS d, \
         json_array_get('[1,\"x\"]', 1) AS e, json_extract_scalar('{', '$') AS f \
         FROM cloudtrail WHERE eventname = 'PutRolePolicy'",
        &[r#"Allow|["s3:*","ec2:*"]|2|PutRolePolicy|"x"|null"#],
    );
    check(
        &index,
        "SELECT eventid FROM cloudtrail WHERE eventJson LIKE '%\"instanceId\":\"i-2\"%'",
        &["e3"],
    );
    check(
        &index,
        "SELECT json_extract_scalar(element_at(responseelements, 'instancesSet'), '$.items[1].instanceId') AS a \
         FROM cloudtrail WHERE eventname LIKE 'Authorize%'",
        &["i-2"],
    );
    check(
        &index,
        "SELECT length(eventjson) > 100 AS a FROM cloudtrail WHERE eventid = 'e4'",
        &["true"],
    );
}

#[test]
fn stores_have_ids_and_names() {
    let index = index();
    let id = "7d1c2b3a-0f9e-4d8c-b7a6-5f4e3d2c1b0a";
    check(&index, &format!("SELECT count(*) AS n FROM {id}"), &["5"]);
    check(
        &index,
        &format!("SELECT count(*) AS n FROM \"{id}\" WHERE errorcode IS NOT NULL"),
        &["1"],
    );
    check(
        &index,
        &format!(
            "SELECT count(*) AS n FROM arn:aws:cloudtrail:us-east-1:111111111111:eventdatastore/{id}"
        ),
        &["5"],
    );
    check(&index, "SELECT count(*) AS n FROM $EDS_ID", &["5"]);
    let options = Options { stores: vec!["my-store".to_owned()], threads: 2, ..Options::default() };
    let found = rows_with(&index, "SELECT count(*) AS n FROM my-store", options).unwrap();
    assert_eq!(found[0]["n"], 5);
}

#[test]
fn groups_windows_and_unions() {
    let index = index();
    check(
        &index,
        "SELECT eventsource AS a, count(*) AS n FROM cloudtrail GROUP BY eventsource ORDER BY n DESC, a LIMIT 2",
        &["s3.amazonaws.com|2", "ec2.amazonaws.com|1"],
    );
    check(
        &index,
        "SELECT a, n FROM (SELECT errorcode AS a, count(*) AS n FROM cloudtrail GROUP BY 1) ORDER BY a DESC",
        &["AccessDenied|1", "null|4"],
    );
    check(
        &index,
        "SELECT a, b FROM (SELECT useridentity.accesskeyid AS a, eventid AS b, rank() OVER (PARTITION BY \
         useridentity.accesskeyid ORDER BY eventtime DESC) AS r FROM cloudtrail \
         WHERE useridentity.accesskeyid IS NOT NULL) WHERE r = 1 ORDER BY a",
        &["AKIA2|e3", "ASIA1|e1"],
    );
    check(
        &index,
        "SELECT eventid AS a FROM cloudtrail WHERE readonly = true UNION ALL \
         SELECT eventid AS a FROM cloudtrail WHERE NOT readonly AND managementevent = false ORDER BY a",
        &["e1", "e2"],
    );
    check(
        &index,
        "SELECT count_if(errorcode IS NULL) AS a, count(DISTINCT sourceipaddress) AS b, \
         max_by(eventid, eventtime) AS c, min_by(eventid, eventtime) AS d, max(eventtime) AS e FROM cloudtrail",
        &["4|4|e5|e1|2023-07-16T00:00:00Z"],
    );
    check(
        &index,
        "SELECT a.eventid AS x, b.eventid AS y FROM cloudtrail a JOIN cloudtrail b \
         ON a.sourceipaddress = b.sourceipaddress AND a.eventtime < b.eventtime",
        &["e3|e4"],
    );
    check(
        &index,
        "WITH t AS (SELECT useridentity.username AS u FROM cloudtrail) SELECT u, count(*) AS z FROM t \
         WHERE u IS NOT NULL GROUP BY u HAVING count(*) > 1",
        &["bob|2"],
    );
}

#[test]
fn functions_mean_what_they_mean_in_trino() {
    let index = index();
    let one = |expression: &str| lines(&index, &format!("SELECT {expression} AS a")).remove(0);
    for (expression, expected) in [
        ("contains(ARRAY['a','b'], 'a')", "true"),
        ("regexp_replace('a1b2', '[0-9]', '-')", "a-b-"),
        ("regexp_replace('a1b2', '([a-z])([0-9])', '$2$1')", "1a2b"),
        ("regexp_replace('a1b2', '[0-9]')", "ab"),
        ("regexp_like('arn:aws:iam::1:role/x', 'role/')", "true"),
        ("regexp_extract('arn:aws:iam::1:role/x', 'role/(.*)', 1)", "x"),
        ("regexp_extract('abc', 'z')", "null"),
        ("regexp_extract_all('a1b2', '[0-9]')", r#"["1","2"]"#),
        ("concat('a', NULL, 'b')", "null"),
        ("concat('a', 'b')", "ab"),
        ("'a' || 'b'", "ab"),
        (
            "date_format(timestamp '2023-07-10 04:05:06', '%Y-%m-%d %H:%i:%s %W')",
            "2023-07-10 04:05:06 Monday",
        ),
        (
            "format_datetime(timestamp '2023-07-10 04:05:06.789', 'yyyy/MM/dd''T''HH:mm:ss.SSS')",
            "2023/07/10T04:05:06.789",
        ),
        ("date_parse('2023-07-10 04:05', '%Y-%m-%d %H:%i')", "2023-07-10T04:05:00Z"),
        ("day_of_week(timestamp '2023-07-16 00:00:00')", "7"),
        ("day_of_week(date '2023-07-10')", "1"),
        ("week(date '2023-01-01')", "52"),
        (
            "date_diff('hour', timestamp '2023-07-10 00:30:00', timestamp '2023-07-11 00:00:00')",
            "23",
        ),
        ("date_diff('month', date '2023-01-31', date '2023-02-27')", "0"),
        (
            "date_diff('day', timestamp '2023-07-11 00:00:00', timestamp '2023-07-10 00:00:00')",
            "-1",
        ),
        ("date_add('month', 1, timestamp '2023-01-31 00:00:00')", "2023-02-28T00:00:00Z"),
        ("date_add('quarter', -1, timestamp '2023-07-10 00:00:00')", "2023-04-10T00:00:00Z"),
        ("date_trunc('day', timestamp '2023-07-10 04:05:06')", "2023-07-10T00:00:00Z"),
        ("from_iso8601_timestamp('2023-07-10T04:05:06Z')", "2023-07-10T04:05:06Z"),
        ("to_iso8601(timestamp '2023-07-10 04:05:06')", "2023-07-10T04:05:06.000Z"),
        ("from_unixtime(0)", "1970-01-01T00:00:00Z"),
        ("to_unixtime(timestamp '1970-01-01 00:00:01.5')", "1.5"),
        ("split('a,b,c', ',')", r#"["a","b","c"]"#),
        ("split('a,b,c', ',', 2)", r#"["a","b,c"]"#),
        ("split_part('a/b/c', '/', 2)", "b"),
        ("element_at(split('a/b/c', '/'), -1)", "c"),
        ("substr('abcdef', -2)", "ef"),
        ("substring('abcdef', 2, 3)", "bcd"),
        ("substr('abc', 0)", ""),
        ("strpos('abc', 'c')", "3"),
        ("lower('AbC') || upper('x')", "abcX"),
        ("coalesce(NULL, 'x')", "x"),
        ("if(1 = 2, 'a', 'b')", "b"),
        ("if(1 = 2, 'a')", "null"),
        ("nullif('a', 'a')", "null"),
        ("try_cast('x' AS bigint)", "null"),
        ("cast('7' AS bigint) + 1", "8"),
        ("typeof('x')", "varchar"),
        ("array_join(ARRAY['a','b'], '-')", "a-b"),
        ("cardinality(ARRAY[1,2])", "2"),
        ("url_extract_host('https://u@h.example:8/p?q=1#f')", "h.example"),
        ("url_extract_path('https://h/p/q?x')", "/p/q"),
        ("'a_b' LIKE 'a\\_b'", "false"),
        ("'a_b' LIKE 'a$_b' ESCAPE '$'", "true"),
        ("'axb' LIKE 'a$_b' ESCAPE '$'", "false"),
        ("json_extract('{\"a\":[1,2]}', '$.a')", "[1,2]"),
    ] {
        assert_eq!(one(expression), expected, "{expression}");
    }
}

#[test]
fn every_column_is_there() {
    let index = index();
    let all = rows(&index, "SELECT * FROM cloudtrail WHERE eventid = 'e1'");
    let row = all[0].as_object().unwrap();
    assert_eq!(row.len(), 34);
    assert_eq!(row["eventversion"], "1.08");
    assert_eq!(row["readonly"], true);
    assert_eq!(row["apiversion"], serde_json::Value::Null);
    assert_eq!(row["useridentity"]["sessioncontext"]["attributes"]["mfaauthenticated"], "false");
    assert_eq!(row["resources"][1]["type"], "AWS::S3::Bucket");
    assert_eq!(row["eventjson"], RECORDS[0]);
    let described = lines(&index, "DESCRIBE cloudtrail");
    assert_eq!(described.len(), 34);
    let tables = lines(
        &index,
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1",
    );
    assert_eq!(tables, ["alerts", "cloudtrail", "files"]);
}

#[test]
fn files_and_alerts_are_tables() {
    let index = index();
    check(
        &index,
        "SELECT path AS a, records AS b, state AS c FROM files ORDER BY path DESC LIMIT 1",
        &["file-2.json.gz|1|indexed"],
    );
    check(&index, "SELECT sum(events) AS n FROM files", &["5"]);
    check(&index, "SELECT count(*) AS n FROM alerts", &["0"]);
}

#[test]
fn plans_show_what_the_index_is_asked() {
    let index = index();
    let plan = |sql: &str| {
        let rows = rows(&index, &format!("EXPLAIN {sql}"));
        rows.iter()
            .map(|row| row["plan"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join("\n")
    };
    let needle = plan(
        "SELECT eventid FROM cloudtrail WHERE useridentity.accesskeyid = 'AKIA2' AND errorcode <> 'x' \
         AND eventtime > '2023-01-01 00:00:00'",
    );
    assert!(needle.contains("index=[userIdentity.accessKeyId:AKIA2]"), "{needle}");
    assert!(!needle.contains("FilterExec"), "{needle}");
    let groups =
        plan("SELECT useridentity.arn, count(*) FROM cloudtrail GROUP BY useridentity.arn");
    assert!(groups.contains("columns=[userIdentity.arn]"), "{groups}");
    let newest = plan(
        "SELECT eventid FROM cloudtrail WHERE errorcode IS NULL ORDER BY eventtime DESC LIMIT 3",
    );
    assert!(newest.contains("order=newest") && !newest.contains("SortExec"), "{newest}");
    let count = plan("SELECT count(*) FROM cloudtrail WHERE eventtime > '2023-01-01'");
    assert!(!count.contains("AggregateExec"), "{count}");
    let keys = plan(
        "SELECT element_at(requestparameters, 'bucketName') AS b, count(*) FROM cloudtrail GROUP BY 1",
    );
    assert!(keys.contains("record requestParameters.bucketName]"), "{keys}");
}
