// Asks LookupEvents through the JavaScript SDK, as told by JSON on standard input; prints JSON.
//
// {"parameters", "pageSize"} is answered by {"events": [...]} of all pages, or by
// {"error": [name, message]}. Endpoint, region and keys are in the environment.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// From where the tests' packages are, wherever this file is.
const require = createRequire(process.env.TRAILDEX_CLIENTS + "/");
const { CloudTrailClient, paginateLookupEvents } = require("@aws-sdk/client-cloudtrail");

const { parameters, pageSize } = JSON.parse(readFileSync(0, "utf8"));
for (const time of ["StartTime", "EndTime"]) {
  if (parameters[time] !== undefined) parameters[time] = new Date(parameters[time]);
}
const client = new CloudTrailClient({});
try {
  const events = [];
  for await (const page of paginateLookupEvents({ client, pageSize }, parameters)) {
    events.push(...page.Events);
  }
  console.log(JSON.stringify({ events }));
} catch (error) {
  console.log(JSON.stringify({ error: [error.name, error.message] }));
}
