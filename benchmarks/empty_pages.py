"""Draw pages without main text: blank sheets, covers, pictures, some with a title at the fold.

How many characters are seen there?

    python benchmarks/empty_pages.py FONTS OUT [N]
    fumikura evaluate pages OUT --truth OUT/train.csv

FONTS is a folder of fonts (docs/training.md); they write on the seals. The truth is in Kaggle's form,
which can say that a page is empty.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fumikura.core.training.drawing import synthetic
from fumikura.core.training.drawing.fonts import load_fonts

#: None of the seeds that pages to train on were drawn with.
SEED = 2026


def main(fonts: str, out: str, n_pages: str = "20") -> None:
    folder = Path(out)
    synthetic.render_many(
        int(n_pages), folder, ["の"], fonts=load_fonts([Path(fonts)]), seed=SEED, empty_share=1
    )
    (folder / "coordinate.csv").unlink()  # CODH's form has no rows for these pages
    names = sorted(path.stem for path in folder.glob("*.jpg"))
    (folder / "train.csv").write_text("image_id,labels\n" + "".join(f"{name},\n" for name in names))


if __name__ == "__main__":
    main(*sys.argv[1:])
