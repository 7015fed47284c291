//! What is derived of whole records.

use super::*;
use crate::parse::Parser;

/// The values of a column in a record, separated by `, `.
#[track_caller]
fn column(id: ColumnId, record: &str) -> String {
    let mut parser = Parser::default();
    let (event, _) = parser.parse_record(record.as_bytes()).expect(record);
    let values: Vec<&str> =
        event.columns().filter(|(column, _)| *column == id).map(|(_, text)| text).collect();
    values.join(", ")
}

fn outcome_and_error(record: &str) -> (String, String) {
    (column(columns::OUTCOME, record), column(columns::ERROR, record))
}

#[track_caller]
fn check_outcome(record: &str, outcome: &str, error: &str) {
    assert_eq!(outcome_and_error(record), (outcome.to_owned(), error.to_owned()), "{record}");
}

/// A record with this event's name, service and these members.
fn call(service_and_name: &str, members: &str) -> String {
    let (service, name) = service_and_name.split_once(':').unwrap();
    format!(r#"{{"eventSource":"{service}.amazonaws.com","eventName":"{name}"{members}}}"#)
}

#[test]
fn a_sign_in_that_fails_is_no_success() {
    let signin = |name: &str, members: &str| call(&format!("signin:{name}"), members);
    let failure = |name: &str| {
        signin(name, &format!(r#","errorMessage":"No","responseElements":{{"{name}":"Failure"}}"#))
    };
    for name in [
        "ConsoleLogin",
        "SwitchRole",
        "ExitRole",
        "RenewRole",
        "GetSigninToken",
        "CheckMfa",
        "PasswordUpdated",
        "ExternalIdPDirectoryLogin",
        "SomethingNewInSignIn",
    ] {
        check_outcome(&failure(name), "failure", "No");
        let success = signin(name, &format!(r#","responseElements":{{"{name}":"Success"}}"#));
        check_outcome(&success, "success", "");
    }
    let login = r#","responseElements":{"ConsoleLogin":"Failure"}"#;
    check_outcome(&signin("ConsoleLogin", login), "failure", "Failure");
    let challenge = r#","serviceEventDetails":{"CredentialVerification":"Failure"}"#;
    check_outcome(&signin("CredentialVerification", challenge), "failure", "Failure");
    // The name of another event is no answer of this one.
    let other = r#","responseElements":{"SomethingElse":"Failure"}"#;
    check_outcome(&signin("ConsoleLogin", other), "success", "");
}

#[test]
fn what_an_answer_lists_as_failed_is_no_success() {
    for (event, members, outcome, error) in [
        ("ec2:CreateRoute", r#"{"_return":true}"#, "success", ""),
        ("ec2:CreateRoute", r#"{"_return":false}"#, "failure", "false"),
        ("ec2:CreateRoute", r#"{"_return":"false"}"#, "failure", "false"),
        ("ec2:X", r#"{"XResponse":{"return":false}}"#, "failure", "false"),
        ("ec2-instance-connect:SendSSHPublicKey", r#"{"success":false}"#, "failure", "false"),
        ("events:PutTargets", r#"{"failedEntryCount":0,"failedEntries":[]}"#, "success", ""),
        (
            "events:PutTargets",
            r#"{"failedEntryCount":1,"failedEntries":[{"targetId":"a","errorCode":"NotThere"}]}"#,
            "failure",
            "NotThere",
        ),
        ("firehose:PutRecordBatch", r#"{"failedPutCount":2}"#, "failure", "2"),
        ("dynamodb:BatchWriteItem", r#"{"unprocessedItems":{}}"#, "success", ""),
        ("dynamodb:BatchWriteItem", r#"{"unprocessedItems":{"t":[{"x":"y"}]}}"#, "failure", "y"),
        (
            "guardduty:CreateMembers",
            r#"{"unprocessedAccounts":[{"accountId":"1","result":"no"}]}"#,
            "failure",
            "1",
        ),
        ("ecs:RunTask", r#"{"tasks":[],"failures":[]}"#, "success", ""),
        (
            "ecs:RunTask",
            r#"{"tasks":[],"failures":[{"arn":"a","reason":"RESOURCE:MEMORY"}]}"#,
            "failure",
            "RESOURCE:MEMORY",
        ),
        (
            "ec2:DeleteFlowLogs",
            r#"{"DeleteFlowLogsResponse":{"unsuccessful":{"item":{"resourceId":"fl-1",
                "error":{"code":"UnauthorizedOperation"}}}}}"#,
            "denied",
            "UnauthorizedOperation",
        ),
        (
            "sqs:DeleteMessageBatch",
            r#"{"failed":[{"id":"1","code":"ReceiptHandleIsInvalid"}],"successful":[{"id":"2"}]}"#,
            "failure",
            "ReceiptHandleIsInvalid",
        ),
        (
            "s3:DeleteObjects",
            r#"{"DeleteResult":{"errors":[{"key":"k","code":"AccessDenied"}]}}"#,
            "denied",
            "AccessDenied",
        ),
        // The state of a thing is not the outcome of the call.
        ("rds:StopDBInstance", r#"{"dBInstanceStatus":"failed","status":"FAILED"}"#, "success", ""),
    ] {
        let record = call(event, &format!(r#","responseElements":{members}"#));
        check_outcome(&record, outcome, error);
    }
    let job = |state: &str| {
        let details =
            format!(r#","serviceEventDetails":{{"createJobStatus":{{"state":"{state}"}}}}"#);
        call("controltower:CreateManagedAccount", &details)
    };
    check_outcome(&job("SUCCEEDED"), "success", "");
    check_outcome(&job("FAILED"), "failure", "FAILED");
}

#[test]
fn an_error_code_is_denied_or_a_failure_and_an_empty_one_is_none() {
    for (members, outcome, error) in [
        (r#","errorCode":"AccessDenied","errorMessage":"Access Denied""#, "denied", "AccessDenied"),
        (r#","errorCode":"NoSuchBucket""#, "failure", "NoSuchBucket"),
        (r#","errorCode":"""#, "success", ""),
        (r#","errorCode":null"#, "success", ""),
        (r#","errorCode":"success""#, "success", ""),
        (
            r#","errorCode":"ValidationError","errorMessage":"not authorized""#,
            "denied",
            "ValidationError",
        ),
        (r#","errorMessage":"Failed""#, "failure", "Failed"),
        ("", "success", ""),
    ] {
        check_outcome(&call("s3:GetObject", members), outcome, error);
    }
    // Of what AWS delivers twice in an object, the last counts.
    let twice = call("s3:GetObject", r#","errorCode":"AccessDenied","errorCode":"NoSuchKey""#);
    check_outcome(&twice, "failure", "NoSuchKey");
}

#[test]
fn an_insight_event_has_the_name_and_the_error_of_its_calls() {
    let insight = |error: &str| {
        format!(
            r#"{{"eventType":"AwsCloudTrailInsight","eventID":"1","insightDetails":{{
                "eventSource":"ec2.amazonaws.com","eventName":"RunInstances"{error}}}}}"#
        )
    };
    let with_error = insight(r#","errorCode":"Client.RequestLimitExceeded""#);
    check_outcome(&with_error, "failure", "Client.RequestLimitExceeded");
    check_outcome(&insight(""), "", "");
    assert_eq!(column(columns::ACTION, &with_error), "RunInstances");
    assert_eq!(column(columns::EVENT_NAME, &with_error), "");
    assert_eq!(column(columns::ERROR_CODE, &with_error), "");
}

#[test]
fn the_account_is_the_recipients_or_the_callers() {
    for (record, account) in [
        (r#"{"eventName":"A","recipientAccountId":"1","userIdentity":{"accountId":"2"}}"#, "1"),
        (r#"{"eventName":"A","userIdentity":{"accountId":"2"}}"#, "2"),
        (r#"{"eventName":"A","recipientAccountId":"","userIdentity":{"accountId":"2"}}"#, "2"),
        (r#"{"eventName":"A","userIdentity":{"accountId":"anonymous"}}"#, ""),
        (r#"{"eventName":"A","userIdentity":{"accountId":"ANONYMOUS_PRINCIPAL"}}"#, ""),
        (r#"{"eventId":"A","accountId":"3"}"#, "3"),
        (r#"{"eventName":"A"}"#, ""),
    ] {
        assert_eq!(column(columns::ACCOUNT, record), account, "{record}");
    }
}

#[test]
fn a_browser_in_a_console_session_is_the_console() {
    let agent = r#","userAgent":"Mozilla/5.0 (Macintosh)""#;
    let client = |more: &str| column(columns::CLIENT, &call("s3:X", &format!("{agent}{more}")));
    assert_eq!(client(""), "browser");
    assert_eq!(client(r#","sessionCredentialFromConsole":"true""#), "console");
    assert_eq!(client(r#","sessionCredentialFromConsole":true"#), "console");
    assert_eq!(client(r#","sessionCredentialFromConsole":"false""#), "browser");
}

#[track_caller]
fn check_target(event: &str, members: &str, expected: &str) {
    let record = call(event, members);
    assert_eq!(column(columns::TARGET, &record), expected, "{record}");
}

#[test]
fn a_target_is_what_the_parameters_name() {
    for (event, parameters, expected) in [
        ("s3:GetObject", r#"{"bucketName":"b","key":"a/b.txt"}"#, "b/a/b.txt"),
        ("s3:GetObject", r#"{"key":"a/b.txt","bucketName":"b"}"#, "b/a/b.txt"),
        ("s3:ListObjects", r#"{"bucketName":"b","prefix":"p","Host":"h"}"#, "b"),
        ("s3:ListAccessPoints", r#"{"bucket":"b"}"#, "b"),
        ("s3:CopyObject", r#"{"bucketName":"b","key":"k","x-amz-copy-source":"c/d"}"#, "b/k, c/d"),
        ("cloudtrail:X", r#"{"bucketName":"b","key":"no"}"#, "b"),
        ("iam:PutRolePolicy", r#"{"policyName":"p","roleName":"r","policyDocument":"{}"}"#, "r, p"),
        ("iam:AttachUserPolicy", r#"{"policyArn":"arn:p","userName":"u"}"#, "u, arn:p"),
        ("iam:AddUserToGroup", r#"{"groupName":"g","userName":"u"}"#, "u, g"),
        ("sts:AssumeRole", r#"{"roleArn":"arn:r","roleSessionName":"s"}"#, "arn:r"),
        (
            "ec2:TerminateInstances",
            r#"{"instancesSet":{"items":[{"instanceId":"i-1"},{"instanceId":"i-2"}]}}"#,
            "i-1, i-2",
        ),
        ("ssm:SendCommand", r#"{"instanceIds":["i-1"],"documentName":"d"}"#, "i-1, d"),
        ("ec2:AttachVolume", r#"{"volumeId":"v","instanceId":"i","device":"d"}"#, "i, v"),
        ("ec2:DeleteVpc", r#"{"vpcId":"vpc-1"}"#, "vpc-1"),
        ("ec2:CreateRoute", r#"{"routeTableId":"rtb-1","gatewayId":"igw-1"}"#, "rtb-1"),
        ("ec2:CreateRoute", r#"{"natGatewayId":"nat-1","routeTableId":"rtb-1"}"#, "rtb-1, nat-1"),
        ("rds:CreateDBSubnetGroup", r#"{"subnetIds":["s-1"],"dBSubnetGroupName":"g"}"#, "g, s-1"),
        (
            "ec2:DescribeRouteTables",
            r#"{"routeTableIdSet":{"items":[{"routeTableId":"rtb-1"}]}}"#,
            "rtb-1",
        ),
        (
            "ec2:CreateFlowLogs",
            r#"{"CreateFlowLogsRequest":{"ResourceId":{"tag":1,"content":"vpc-1"}}}"#,
            "vpc-1",
        ),
        (
            "ec2:DescribeVpcClassicLinkDnsSupport",
            r#"{"DescribeVpcClassicLinkDnsSupportRequest":{"VpcIds":{"tag":1,"content":"vpc-1"}}}"#,
            "vpc-1",
        ),
        ("lambda:Invoke", r#"{"functionName":"f"}"#, "f"),
        ("secretsmanager:GetSecretValue", r#"{"secretId":"s","versionId":"v"}"#, "s"),
        ("secretsmanager:CreateSecret", r#"{"name":"s","kmsKeyId":"k"}"#, "s"),
        ("kms:Encrypt", r#"{"keyId":"alias/a"}"#, "alias/a"),
        ("ssm:PutParameter", r#"{"name":"/p","keyId":"k"}"#, "/p"),
        ("ssm:GetParameters", r#"{"names":["/p","/q","/p"]}"#, "/p, /q"),
        ("cloudtrail:StopLogging", r#"{"name":"t"}"#, "t"),
        (
            "rds:CreateDBSnapshot",
            r#"{"dBSnapshotIdentifier":"s","dBInstanceIdentifier":"i"}"#,
            "i, s",
        ),
        ("eks:CreateCluster", r#"{"name":"c","roleArn":"r"}"#, "c"),
        ("dynamodb:GetItem", r#"{"tableName":"t","key":{"id":"x"}}"#, "t"),
        ("organizations:CloseAccount", r#"{"accountId":"1"}"#, "1"),
        // What is searched for or used is not what is touched.
        ("ec2:DescribeVpcs", r#"{"filterSet":{"items":[{"name":"a","valueSet":{}}]}}"#, ""),
        ("logs:X", r#"{"limit":5}"#, ""),
        ("s3:X", "\"not an object\"", ""),
    ] {
        check_target(event, &format!(r#","requestParameters":{parameters}"#), expected);
    }
}

#[test]
fn a_target_is_what_an_answer_says_was_made() {
    for (event, members, expected) in [
        (
            "ec2:RunInstances",
            r#","requestParameters":{"instancesSet":{"items":[{"imageId":"ami-1","keyName":"k"}]},
                "groupSet":{"items":[{"groupId":"sg-1"}]},"subnetId":"subnet-1",
                "networkInterfaceSet":{"items":[{"networkInterfaceId":"eni-1"}]},
                "iamInstanceProfile":{"name":"profile"}},
               "responseElements":{"instancesSet":{"items":[{"instanceId":"i-1","imageId":"ami-1",
                "vpcId":"vpc-1"}]}}"#,
            "i-1",
        ),
        // One that was denied has made none.
        (
            "ec2:RunInstances",
            r#","requestParameters":{"instancesSet":{"items":[{"imageId":"ami-1"}]},
                "subnetId":"subnet-1"},"responseElements":null"#,
            "subnet-1",
        ),
        (
            "iam:CreateAccessKey",
            r#","requestParameters":{"userName":"u"},
               "responseElements":{"accessKey":{"userName":"u","accessKeyId":"AKIA1"}}"#,
            "u, AKIA1",
        ),
        (
            "ec2:CreateSubnet",
            r#","requestParameters":{"vpcId":"vpc-1"},
               "responseElements":{"subnet":{"subnetId":"subnet-1","vpcId":"vpc-1"}}"#,
            "subnet-1",
        ),
        (
            "sts:AssumeRole",
            r#","requestParameters":{"roleArn":"arn:r"},
               "responseElements":{"credentials":{"accessKeyId":"ASIA1"}}"#,
            "arn:r",
        ),
        (
            "kms:Decrypt",
            r#","requestParameters":{"encryptionAlgorithm":"S"},"resources":[{"ARN":"arn:key"}]"#,
            "arn:key",
        ),
        ("s3:X", r#","resources":[{"ARNPrefix":"arn:b/env:/"}]"#, "arn:b/env:/"),
        ("sts:GetCallerIdentity", r#","requestParameters":null"#, ""),
    ] {
        check_target(event, members, expected);
    }
}

#[test]
fn a_call_that_names_many_targets_has_all_of_them() {
    let ids: Vec<String> = (0..1000).map(|n| format!(r#"{{"instanceId":"i-{n}"}}"#)).collect();
    let members =
        format!(r#","requestParameters":{{"instancesSet":{{"items":[{}]}}}}"#, ids.join(","));
    let record = call("ec2:StopInstances", &members);
    assert_eq!(column(columns::TARGET, &record).split(", ").count(), 1000);
}
