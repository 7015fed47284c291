"""Sends requests that botocore signs and that are changed afterwards, as told by a JSON list on
standard input; prints a JSON list of {"status", "type", "message", "request_id"}.

An item may have "body", "target", "service", "key", "secret", "seconds" (added to the clock before
signing), "set" (headers changed after signing, null to remove), "body_after" and "method".
"""

import datetime
import json
import sys

import httpx
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

endpoint, items = json.load(sys.stdin)
TARGET = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents"


def signed(item):
    headers = {"Content-Type": "application/x-amz-json-1.1"}
    headers["X-Amz-Target"] = item.get("target", TARGET)
    request = AWSRequest("POST", endpoint, headers=headers, data=item.get("body", "{}"))
    credentials = Credentials(item.get("key", "AKIDEXAMPLE"), item.get("secret", "hush"))
    now = datetime.datetime.now(datetime.timezone.utc)
    then = now + datetime.timedelta(seconds=item.get("seconds", 0))
    # botocore has had two names for its clock.
    for name in ("get_current_datetime", "_utc_now"):
        if hasattr(auth, name):
            setattr(auth, name, lambda *_, **__: then.replace(tzinfo=None))
    auth.SigV4Auth(credentials, item.get("service", "cloudtrail"), "eu-west-1").add_auth(request)
    return dict(request.headers.items())


def send(item):
    headers = signed(item)
    for name, value in item.get("set", {}).items():
        headers = {k: v for k, v in headers.items() if k.lower() != name.lower()}
        if value is not None:
            headers[name] = value
    body = item.get("body_after", item.get("body", "{}"))
    answer = httpx.request(item.get("method", "POST"), endpoint, headers=headers, content=body)
    said = answer.json()
    return {
        "status": answer.status_code,
        "type": said.get("__type"),
        "message": said.get("message"),
        "events": len(said.get("Events", [])),
        "request_id": answer.headers.get("x-amzn-requestid"),
        "content_type": answer.headers.get("content-type"),
    }


print(json.dumps([send(item) for item in items]))
