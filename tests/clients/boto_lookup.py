"""Asks LookupEvents through boto3, as told by a JSON list on standard input; prints a JSON list.

Each item is {"parameters": {...}} for one call, with "paginate": {...} (a PaginationConfig) for the
paginator. An answer is {"pages": [[event, ...], ...], "token": ...} or {"error": [name, message]}.
The endpoint, the region and the keys are in the environment, where boto3 looks for them.
"""

import json
import sys

import boto3
from botocore.exceptions import ClientError

client = boto3.client("cloudtrail")


def answer(item):
    parameters = item["parameters"]
    if "paginate" in item:
        paginator = client.get_paginator("lookup_events")
        pages = paginator.paginate(PaginationConfig=item["paginate"], **parameters)
        return {"pages": [page["Events"] for page in pages], "token": pages.resume_token}
    page = client.lookup_events(**parameters)
    return {"pages": [page["Events"]], "token": page.get("NextToken")}


def checked(item):
    try:
        return answer(item)
    except client.exceptions.InvalidTimeRangeException as error:
        # By its class, as a program would.
        return {"error": ["InvalidTimeRangeException", error.response["Error"]["Message"]]}
    except ClientError as error:
        return {"error": [error.response["Error"]["Code"], error.response["Error"]["Message"]]}


print(json.dumps([checked(item) for item in json.load(sys.stdin)], default=str))
