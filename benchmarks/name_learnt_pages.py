"""Writes into weights which pages they have learnt from; for weights that were trained before training did.

    python -m benchmarks.name_learnt_pages data/pages core/weights/{segmenter,classifier}.safetensors

All pages of the archive are named; tensors and the rest of the header stay as they are. `fumikura train`
writes this itself.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file

from fumikura.core.archives.listing import list_pages
from fumikura.core.own_files import replacing
from fumikura.core.recognition.models.checkpoint import is_weights
from fumikura.core.recognition.weights_header import learnt_pages, read_header, tell_learnt_pages


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pages", help="an archive that holds all pages that were learnt from")
    parser.add_argument("weights", type=Path, nargs="+")
    arguments = parser.parse_args()
    digests = {page.digest for page in list_pages([arguments.pages]).pages}
    for path in arguments.weights:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
        header = {**read_header(path), **tell_learnt_pages(digests | learnt_pages(path))}
        with replacing(path, is_weights) as unfinished:
            save_file(tensors, unfinished, metadata=header)
            unfinished.chmod(0o644)
        print(f"{path}: {len(learnt_pages(path))} pages")


if __name__ == "__main__":
    main()
