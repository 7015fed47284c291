//! The usual data events: which resource type of an event selector records which events of which
//! service. From AWS's user guide ("Logging data events") and the guides of the services.
//!
//! The list is not complete: AWS adds types every few weeks. A type that is not here is still read from
//! selectors, and its events are still counted; only a query that names such an event gets no note.

use language::ast::{Pattern, PatternPiece};

/// A kind of data events.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// As selectors have it: `AWS::S3::Object`.
    pub(crate) resource_type: &'static str,
    /// `s3.amazonaws.com`.
    pub(crate) source: &'static str,
    /// As a person calls them.
    pub(crate) label: &'static str,
    /// The names of its events.
    pub(crate) names: &'static [&'static str],
}

macro_rules! kinds {
    ($($type:literal $source:literal $label:literal [$($name:ident)*];)*) => {
        /// Every kind that is known.
        pub(crate) const KINDS: &[Kind] = &[$(Kind {
            resource_type: $type,
            source: concat!($source, ".amazonaws.com"),
            label: $label,
            names: &[$(stringify!($name)),*],
        }),*];
    };
}

kinds! {
    "AWS::S3::Object" "s3" "object-level events of S3" [
        AbortMultipartUpload CompleteMultipartUpload CopyObject CreateMultipartUpload DeleteObject
        DeleteObjectTagging DeleteObjects GetObject GetObjectAcl GetObjectAttributes
        GetObjectLegalHold GetObjectLockLegalHold GetObjectLockRetention GetObjectRetention
        GetObjectTagging GetObjectTorrent HeadBucket HeadObject ListMultipartUploads
        ListObjectVersions ListObjects ListObjectsV2 ListParts PostObject PutObject PutObjectAcl
        PutObjectLegalHold PutObjectLockLegalHold PutObjectLockRetention PutObjectRetention
        PutObjectTagging RestoreObject SelectObjectContent UploadPart UploadPartCopy
        WriteGetObjectResponse];
    "AWS::Lambda::Function" "lambda" "invocations of Lambda functions" [
        Invoke InvokeAsync InvokeWithResponseStream];
    "AWS::DynamoDB::Table" "dynamodb" "item-level events of DynamoDB" [
        BatchExecuteStatement BatchGetItem BatchWriteItem DeleteItem ExecuteStatement
        ExecuteTransaction GetItem PutItem Query Scan TransactGetItems TransactWriteItems
        UpdateItem];
    "AWS::DynamoDB::Stream" "dynamodb" "reads of DynamoDB streams" [GetShardIterator GetRecords];
    "AWS::EC2::Snapshot" "ebs" "block-level events of EBS snapshots" [
        CompleteSnapshot GetSnapshotBlock ListChangedBlocks ListSnapshotBlocks PutSnapshotBlock];
    "AWS::SNS::Topic" "sns" "messages of SNS topics" [Publish PublishBatch];
    "AWS::SQS::Queue" "sqs" "messages of SQS queues" [
        ChangeMessageVisibility ChangeMessageVisibilityBatch DeleteMessage DeleteMessageBatch
        ReceiveMessage SendMessage SendMessageBatch];
    "AWS::Kinesis::Stream" "kinesis" "records of Kinesis streams" [
        GetRecords GetShardIterator PutRecord PutRecords SubscribeToShard];
    "AWS::Cognito::IdentityPool" "cognito-identity" "credentials of Cognito identity pools" [
        GetCredentialsForIdentity GetId GetOpenIdToken GetOpenIdTokenForDeveloperIdentity
        UnlinkIdentity];
    "AWS::Bedrock::AgentAlias" "bedrock" "invocations of Bedrock agents" [
        InvokeAgent InvokeInlineAgent];
    "AWS::Bedrock::KnowledgeBase" "bedrock" "reads of Bedrock knowledge bases" [
        Retrieve RetrieveAndGenerate];
    "AWS::RDS::DBCluster" "rdsdata" "statements of the RDS Data API" [
        BatchExecuteStatement BeginTransaction CommitTransaction ExecuteSql ExecuteStatement
        RollbackTransaction];
    "AWS::SES::ConfigurationSet" "ses" "mails that SES sends" [
        SendBulkEmail SendBulkTemplatedEmail SendCustomVerificationEmail SendEmail SendRawEmail
        SendTemplatedEmail];
    "AWS::AppConfig::Configuration" "appconfig" "reads of AppConfig configurations" [
        GetLatestConfiguration StartConfigurationSession];
    "AWS::SageMaker::Endpoint" "sagemaker" "invocations of SageMaker endpoints" [
        InvokeEndpoint InvokeEndpointAsync InvokeEndpointWithResponseStream];
    "AWS::SSMMessages::ControlChannel" "ssmmessages" "channels of Systems Manager" [
        CreateControlChannel CreateDataChannel OpenControlChannel OpenDataChannel];
}

/// What a pattern of an event's name may be without meaning data events in particular.
const VERBS: [&str; 12] = [
    "get", "put", "list", "delete", "create", "update", "send", "batch", "describe", "invoke",
    "start", "copy",
];

impl Kind {
    /// Whether an event of this kind has the name, in any case.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// The name of an event of this kind that the pattern matches, where it means more than a verb.
    pub(crate) fn matched(&self, pattern: &Pattern) -> Option<&'static str> {
        let text: String = pattern.pieces().iter().filter_map(text_of).collect();
        let text = text.to_ascii_lowercase();
        if text.len() < 4 || VERBS.contains(&text.as_str()) {
            return None;
        }
        self.names.iter().copied().find(|name| matches(&name.to_ascii_lowercase(), pattern))
    }
}

fn text_of(piece: &PatternPiece) -> Option<&str> {
    match piece {
        PatternPiece::Text(text) => Some(text),
        _ => None,
    }
}

/// Whether a pattern matches a text in lower case as a whole. Patterns are short, and so are names.
pub(crate) fn matches(name: &str, pattern: &Pattern) -> bool {
    // Where in the name the pieces so far may end.
    let mut ends = vec![false; name.len() + 1];
    ends[0] = true;
    for piece in pattern.pieces() {
        let mut next = vec![false; name.len() + 1];
        for at in (0..=name.len()).filter(|at| ends[*at]) {
            match piece {
                PatternPiece::Text(text) => {
                    let text = text.to_ascii_lowercase();
                    if name[at..].starts_with(&text) {
                        next[at + text.len()] = true;
                    }
                }
                PatternPiece::AnyOne if at < name.len() => next[at + 1] = true,
                PatternPiece::AnyOne => {}
                PatternPiece::AnyRun => next[at..].fill(true),
            }
        }
        ends = next;
    }
    ends[name.len()]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text.chars().map(|c| match c {
            '*' => PatternPiece::AnyRun,
            '?' => PatternPiece::AnyOne,
            c => PatternPiece::Text(c.to_string()),
        }))
    }

    #[test]
    fn every_type_is_listed_once_and_every_name_once_in_it() {
        let types: BTreeSet<_> = KINDS.iter().map(|kind| kind.resource_type).collect();
        assert_eq!(types.len(), KINDS.len());
        for kind in KINDS {
            let names: BTreeSet<_> = kind.names.iter().collect();
            assert_eq!(names.len(), kind.names.len(), "{}", kind.resource_type);
        }
    }

    #[test]
    fn a_pattern_means_data_events_where_it_says_more_than_a_verb() {
        let s3 = &KINDS[0];
        for (text, expected) in [
            ("DeleteObj*", Some("DeleteObject")),
            ("*ObjectTagging", Some("DeleteObjectTagging")),
            ("delete?bject", Some("DeleteObject")),
            ("Delete*", None),
            ("Put*Policy", None),
            ("*", None),
        ] {
            assert_eq!(s3.matched(&pattern(text)), expected, "{text}");
        }
        assert!(s3.has("getobject") && !s3.has("GetBucketPolicy"));
    }
}
