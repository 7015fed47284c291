"""Calls the lookup_events tool of awslabs' CloudTrail MCP server over its own protocol.

Standard input is {"server": path, "calls": [arguments, ...]}; prints the tool's answers as a JSON list.
The endpoint and the keys are in the environment, which the server gets.
"""

import asyncio
import json
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main():
    wanted = json.load(sys.stdin)
    server = StdioServerParameters(command=wanted["server"], env=dict(os.environ))
    answers = []
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        for arguments in wanted["calls"]:
            result = await session.call_tool("lookup_events", arguments)
            answers.append(json.loads(result.content[0].text))
    print(json.dumps(answers))


asyncio.run(main())
