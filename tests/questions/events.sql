-- The fields that the questions ask for, under traildex's short names.
CREATE VIEW events AS
SELECT
    -- Some rule tests have another form of time.
    regexp_replace(j ->> '$.eventTime', '^(.{10}) (.{8}).*$', '\1T\2Z') AS time,
    j ->> '$.eventID' AS id,
    j ->> '$.eventName' AS action,
    j ->> '$.eventSource' AS service,
    j ->> '$.awsRegion' AS region,
    j ->> '$.recipientAccountId' AS account,
    j ->> '$.sourceIPAddress' AS ip,
    j ->> '$.userAgent' AS agent,
    j ->> '$.errorCode' AS error,
    j ->> '$.errorMessage' AS message,
    j ->> '$.readOnly' AS readonly,
    j ->> '$.userIdentity.type' AS kind,
    j ->> '$.userIdentity.arn' AS arn,
    j ->> '$.userIdentity.accountId' AS identity_account,
    j ->> '$.userIdentity.userName' AS user,
    j ->> '$.userIdentity.accessKeyId' AS key,
    j ->> '$.userIdentity.principalId' AS principal,
    j ->> '$.userIdentity.invokedBy' AS invoked_by,
    j -> '$.requestParameters' AS request,
    j -> '$.responseElements' AS response,
    j -> '$.additionalEventData' AS more,
    j
FROM raw;
