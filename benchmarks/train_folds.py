"""Train both networks once without each fold of books, and once on all of them, and score the folds.

    python benchmarks/train_folds.py DATA OUT [--fold NAME ...]

DATA holds pages/, boxes/, text/, text_columns/, fonts/, kmnist/ and transcripts.txt, which docs/training.md
tells apart. Each step is one `fumikura` command; its result lies in OUT, and a step whose result is there is
skipped: the same command goes on where it was cut off. What scores a fold is in no part of its making.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

#: Books of each fold by its first book; the last one leaves nothing out and is what ships.
FOLDS = {
    "100241706": ("100241706", "200020019"),
    "200010454": ("200010454", "200021763", "100249376"),
    "200022050": ("200022050", "200015843"),
    "none": (),
}
ALL_BOOKS = tuple(book for books in FOLDS.values() for book in books)
#: Files of scores, in the order in which more was learnt from, and what that was.
STAGES = {
    "scores-boxes": "drawn pages, glyphs, boxes",
    "scores-aligned": "and aligned text",
    "scores-aligned-again": "aligned three times more, by better weights",
    "scores-ink": "boxes from a fifth alignment, drawn to their ink",
    "scores-without-kmnist": "and context",
    "scores-kmnist": "one more training, with Kuzushiji-MNIST, and context",
    "scores": "boxes from a sixth alignment, one more training of the classifier, and context",
}
DRAWN_PAGES = 240
#: Chosen on 200020019 and 200015843 (core/weights/context.md) when no weights had seen their text.
CONTEXT_WEIGHT = 0.5
FONTS = (
    "/usr/share/fonts/truetype/kouzan-mouhitsu",
    # True cursive, the one nearest to the books: named twice, it is seen twice as often.
    "/usr/share/fonts/truetype/kouzan-mouhitsu/KouzanBrushFontSousyo.ttf",
    "/usr/share/fonts/truetype/aoyagi-kouzan-t",
    "/usr/share/fonts/truetype/aoyagi-soseki",
)

_COMMAND = str(Path(sys.executable).with_name("fumikura"))


@dataclass(frozen=True, slots=True)
class Trainer:
    """Runs the steps of one network after the other.

    Attributes:
        without: books that no step sees.
    """

    data: Path
    out: Path
    without: Sequence[str]

    def segmenter(
        self,
        name: str,
        steps: int,
        *,
        start: Path | None = None,
        mined: Path | None = None,
        seed: int = 7,
        is_mild: bool = False,
    ) -> Path:
        """Weights from drawn pages and, after a start, from real ones with these boxes.

        Of the same pages the same seed shows the same patches.
        """
        drawn = ["--drawn-pages", str(DRAWN_PAGES), "--seed", str(seed)]
        if is_mild:
            drawn.append("--mild")
        if start is not None:
            # The base's drawn pages serve all: no book of any fold lent them its text.
            (self.out / name).mkdir(parents=True, exist_ok=True)
            drawn_pages = self.out / name / "drawn"
            if not drawn_pages.exists():
                unfinished = drawn_pages.with_suffix(".unfinished")
                shutil.copytree(start.parent / "drawn", unfinished, dirs_exist_ok=True)
                unfinished.replace(drawn_pages)
        rate = ["--learning-rate", "0.003" if start is None else "0.0015"]
        return self._train("segmenter", name, steps, [*drawn, *rate], start, mined)

    def classifier(
        self,
        name: str,
        steps: int,
        *,
        start: Path | None = None,
        mined: Path | None = None,
        seed: int = 1,
        has_kmnist: bool = False,
        kept: float = 0.0,
    ) -> Path:
        """Weights from drawn glyphs and, after a start, from crops of real pages with these boxes."""
        options = ["--learning-rate", "0.002" if start is None else "0.001", "--seed", str(seed)]
        options += ["--keep", str(kept)]
        if has_kmnist:
            options += ["--with-characters", str(self.data / "kmnist" / "kmnist.npz")]
        return self._train("classifier", name, steps, options, start, mined)

    def align(self, name: str, segmenter: Path, classifier: Path) -> Path:
        """Boxes that the two find for the texts, beside those that people drew."""
        path = self.out / f"{name}.csv"
        texts = ["--text", str(self.data / "text"), "--text", str(self.data / "text_columns")]
        weights = ["--segmenter", str(segmenter), "--classifier", str(classifier)]
        self._run(
            path,
            ["align", *self._pages(), *texts, *boxes_in(self.data), *kana_in(self.data), *weights, "--out"],
        )
        return path

    def context(self, name: str) -> Path:
        """Counts of which characters follow each other."""
        path = self.out / f"{name}.safetensors"
        texts = [str(self.data / "transcripts.txt"), str(self.data / "text")]
        self._run(path, ["train", "context", *texts, "--out"])
        return path

    def score(self, name: str, segmenter: Path, classifier: Path, context: Path, weight: float) -> None:
        """What the fold's weights make of its own books, as `evaluate pages --json` says it."""
        path = self.out / f"{name}.jsonl"
        if not self.without:
            return
        if path.exists():
            click.echo(f"{path} is there")
            return
        weights = {"segmenter": segmenter, "classifier": classifier, "context": context}
        path.write_bytes(evaluated(self.data, self.without, weights, weight))

    def _train(
        self, kind: str, name: str, steps: int, options: Sequence[str], start: Path | None, mined: Path | None
    ) -> Path:
        folder = self.out / name
        sources = [*options, "--transcripts", str(self.data / "transcripts.txt")]
        for fonts in (*FONTS, str(self.data / "fonts")):
            sources += ["--fonts", fonts]
        if start is not None:
            partial = kana_in(self.data) if mined is None else ["--partial-truth", str(mined)]
            sources += [*self._pages(), *boxes_in(self.data), *partial, "--start", str(start)]
        path = folder / f"{kind}.safetensors"
        self._run(path, ["train", kind, *sources, "--steps", str(steps), "--out"], target=folder)
        return path

    def _pages(self) -> list[str]:
        return [str(self.data / "pages")]

    def _run(self, result: Path, arguments: Sequence[str], *, target: Path | None = None) -> None:
        if result.exists():
            click.echo(f"{result} is there")
            return
        command = [_COMMAND, *arguments, str(target or result)]
        for book in self.without:
            command += ["--without-book", book]
        click.echo(" ".join(command))
        # More processes than cores wait for each other; spinning would make that worse.
        subprocess.run(command, check=True, env={**os.environ, "OMP_WAIT_POLICY": "passive"})


def evaluated(data: Path, books: Sequence[str], weights: Mapping[str, Path], context_weight: float) -> bytes:
    """Read all pages of some books by given weights, and score them by all that is known of them.

    Args:
        weights: files of the "segmenter", the "classifier" and the "context".

    Returns:
        JSON lines, as `evaluate pages --json` prints them.
    """
    pages = [str(page) for book in books for page in sorted((data / "pages").glob(f"{book}_*"))]
    truth = [*boxes_in(data), *kana_in(data), "--text", str(data / "text"), "--min-text", "50"]
    files = [part for kind, path in weights.items() for part in (f"--{kind}", str(path))]
    arguments = [
        "evaluate",
        "pages",
        *pages,
        *truth,
        *files,
        "--context-weight",
        str(context_weight),
        "--json",
    ]
    return subprocess.run([_COMMAND, *arguments], check=True, stdout=subprocess.PIPE).stdout


def boxes_in(data: Path) -> list[str]:
    """Name the complete boxes."""
    paths = [data / "boxes" / f"{book}_coordinate.csv" for book in ("100241706", "200010454")]
    return [part for path in paths for part in ("--truth", str(path))]


def kana_in(data: Path) -> list[str]:
    """Name the boxes of some characters."""
    return ["--partial-truth", str(data / "boxes" / "kana_only_coordinate.csv")]


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--fold", "folds", type=click.Choice(list(FOLDS)), multiple=True, help="Only this. Repeatable.")
def main(data: Path, out: Path, folds: Sequence[str]) -> None:
    """Train without each fold, and on everything."""
    base = Trainer(data, out / "base", ALL_BOOKS)
    try:
        first = base.segmenter("segmenter", 1200), base.classifier("classifier", 2600)
        for fold in folds or FOLDS:
            train_fold(Trainer(data, out / fold, FOLDS[fold]), *first)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)  # it has said why


def train_fold(trainer: Trainer, segmenter: Path, classifier: Path) -> None:
    """From boxes, then six times more from the text that the weights before could place."""
    context = trainer.context("context")
    segmenter = trainer.segmenter("segmenter-1", 400, start=segmenter)
    classifier = trainer.classifier("classifier-1", 200, start=classifier)
    trainer.score("scores-boxes", segmenter, classifier, context, 0)
    mined = trainer.align("aligned-1", segmenter, classifier)
    segmenter = trainer.segmenter("segmenter-2", 1000, start=segmenter, mined=mined)
    classifier = trainer.classifier("classifier-2", 300, start=classifier, mined=mined)
    trainer.score("scores-aligned", segmenter, classifier, context, 0)
    mined = trainer.align("aligned-2", segmenter, classifier)
    segmenter = trainer.segmenter("segmenter-3", 1500, start=segmenter, mined=mined, seed=9)
    classifier = trainer.classifier("classifier-3", 800, start=classifier, mined=mined)
    mined = trainer.align("aligned-3", segmenter, classifier)
    segmenter = trainer.segmenter("segmenter-4", 1500, start=segmenter, mined=mined, seed=11, is_mild=True)
    mined = trainer.align("aligned-4", segmenter, classifier)
    classifier = trainer.classifier("classifier-4", 1500, start=classifier, mined=mined, seed=4)
    trainer.score("scores-aligned-again", segmenter, classifier, context, 0)
    mined = trainer.align("aligned-5", segmenter, classifier)
    segmenter = trainer.segmenter("segmenter-5", 2000, start=segmenter, mined=mined, seed=13, is_mild=True)
    trainer.score("scores-ink", segmenter, classifier, context, 0)
    # Nobody can tell which images of Kuzushiji-MNIST come from the books of a fold: so both are scored.
    trainer.score("scores-without-kmnist", segmenter, classifier, context, CONTEXT_WEIGHT)
    classifier = trainer.classifier(
        "classifier-5", 1500, start=classifier, mined=mined, seed=5, has_kmnist=True, kept=0.5
    )
    trainer.score("scores-kmnist", segmenter, classifier, context, CONTEXT_WEIGHT)
    mined = trainer.align("aligned-6", segmenter, classifier)
    classifier = trainer.classifier(
        "classifier-6", 2000, start=classifier, mined=mined, seed=9, has_kmnist=True, kept=0.5
    )
    trainer.score("scores", segmenter, classifier, context, CONTEXT_WEIGHT)


if __name__ == "__main__":
    main()
