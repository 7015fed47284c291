#!/usr/bin/env python3
"""Processor time of `traildex import` by several builds, which take turns: turns.py RUNS ARCHIVE BINARY...

A binary may have settings in front: "TRAILDEX_INGEST_SEGMENT_EVENTS_MAX=30000 target/release/traildex".
"""
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile


def run(command, archive):
    *settings, binary = command.split()
    environment = os.environ | dict(setting.split("=", 1) for setting in settings)
    data_dir = tempfile.mkdtemp()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([binary, "import", archive, "--data-dir", data_dir],
                   check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(data_dir)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


runs, archive, commands = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
seconds = {command: [] for command in commands}
for _ in range(runs):
    for command in commands:
        seconds[command].append(run(command, archive))
for command, taken in seconds.items():
    least = min(taken) / min(seconds[commands[0]])
    print(f"{command}: least {min(taken):.2f} CPU s ({least:.3f} of the first's), "
          f"median {statistics.median(taken):.2f}")
