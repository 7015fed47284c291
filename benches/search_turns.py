#!/usr/bin/env python3
"""Searches a second by several builds, which take turns: search_turns.py ROUNDS ARCHIVE BINARY...

Asks the queries of searches.txt, one connection, and compares the best round of each build with the
first build's. Each build keeps an index of its own beside the archive.
"""
import json
import os
import subprocess
import sys

rounds, archive, binaries = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
queries = os.path.join(os.path.dirname(os.path.abspath(__file__)), "searches.txt")
best = {}
for _ in range(rounds):
    for number, binary in enumerate(binaries):
        done = subprocess.run(
            [binary, "bench", archive, "--data-dir", f"{archive}.index{number}", "--queries", queries,
             "--clients", "1", "--seconds", "0.5", "--format", "json"],
            check=True, capture_output=True, text=True)
        for query in json.loads(done.stdout)["queries"]:
            rates = best.setdefault(query["query"], [0] * len(binaries))
            rates[number] = max(rates[number], query["throughput_per_s"])
for query, rates in best.items():
    times = "  ".join(f"{1000 / rate:9.3f} ms {rate / rates[0]:5.2f}" for rate in rates)
    print(f"{times}  {query}")
