#!/usr/bin/env python3
"""What records come to, compressed in blocks with and without a trained dictionary: blocks.py ARCHIVE

Takes 100 files for the records and 40 others for the dictionary. Needs `pip install zstandard`.
"""
import glob
import gzip
import json
import random
import sys
import time

import zstandard


def records(paths):
    found = []
    for path in paths:
        for record in json.load(gzip.open(path))["Records"]:
            text = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()
            found.append((record["eventTime"], text))
    return [text for _, text in sorted(found, key=lambda pair: pair[0], reverse=True)]


def blocks(texts, size):
    block = b""
    for text in texts:
        block += text
        if len(block) >= size:
            yield block
            block = b""
    if block:
        yield block


def measure(label, texts, raw, size, level, dictionary=None):
    options = {"dict_data": dictionary} if dictionary else {}
    compressor = zstandard.ZstdCompressor(level=level, **options)
    decompressor = zstandard.ZstdDecompressor(**options)
    started = time.process_time()
    made = [compressor.compress(block) for block in blocks(texts, size)]
    middle = time.process_time()
    for block in made:
        decompressor.decompress(block)
    ended = time.process_time()
    print(f"{label}, level {level}, {size >> 10:4} KiB: {100 * sum(map(len, made)) / raw:5.1f} % of raw, "
          f"{(middle - started) / raw * 1e9:.1f} s/GB, {(ended - middle) / len(made) * 1e6:.0f} us to decompress one")


paths = sorted(glob.glob(f"{sys.argv[1]}/**/*.json.gz", recursive=True))
texts, others = records(paths[500:600]), records(paths[2000:2040])
raw = sum(map(len, texts))
print(f"{len(texts)} records, {raw} bytes")
sample = random.Random(1).sample(others, min(len(others), 2000))
for level in (1, 3):
    for size in (16, 32, 64, 128):
        measure("no dictionary", texts, raw, size << 10, level)
for bytes_ in (112, 200):
    dictionary = zstandard.train_dictionary(bytes_ << 10, sample)
    for level in (1, 3):
        dictionary.precompute_compress(level=level)
        for size in (0, 16, 32, 64):
            measure(f"dictionary of {bytes_} KiB", texts, raw, size << 10, level, dictionary)
