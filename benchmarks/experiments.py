"""Train and score every network of the two reports, and those that go further.

    python -m benchmarks.experiments DATA OUT [--only GROUP ...] [--device cuda]

DATA holds kmnist/, pages/, boxes/, fonts/ and transcripts.txt (docs/training.md says what they are). Each
step is one `fumikura` command, which is printed; its result lies in OUT, and a step whose result is there
is skipped: the same command goes on where it was cut off. Scores are JSON, in OUT/GROUP/NAME/scores.json.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.train_folds import FONTS

_COMMAND = str(Path(sys.executable).with_name("fumikura"))

#: The second report's own settings: plain Adam, a learning rate that stays.
SIMPLE = ["--model", "simple-cnn", "--augmentation", "rotation", "--schedule", "constant"]
SIMPLE += ["--weight-decay", "0", "--precision", "fp32"]
#: 28 x 28, for more than the reports asked.
STRONG = ["--augmentation", "strong", "--batch-size", "128", "--learning-rate", "0.003"]
STRONG += ["--weight-decay", "0.05", "--smoothing", "0.1"]
RESNET_EPOCHS = 24
#: The transformer takes 5.3 CPU seconds for a thousand images where the residual network takes 1.7.
VIT_EPOCHS = 8
#: Network and pos_weight of each row of the first report.
SEGMENTERS = (("encoder-decoder", 150), ("encoder-decoder", 20), ("unet", 120), ("unet", 20))
#: Every row of patches sees 1,250 x 16 = 20,000 of them.
PATCH_STEPS, PATCHES_A_STEP = 1250, 16
#: Whole pages have four times as many pixels: 1,000 of them, with seven to choose from.
PAGE_STEPS, PAGES_A_STEP = 125, 8
TEST_BOOK = "200010454"
CLASSES = (50, 200, 500)
SEEDS = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class Bench:
    """Runs the steps of the experiments, one after the other."""

    data: Path
    out: Path
    device: str

    def prepare(self, kind: str, name: str, options: Sequence[str]) -> Path:
        """A data set in OUT/sets."""
        folder = self.out / "sets" / name
        self._run(folder / "manifest.json", ["prepare", kind, *options, "--out", str(folder)])
        return folder

    def train(self, kind: str, name: str, options: Sequence[str], *, seed: int = 1) -> Path:
        """Weights in OUT/NAME."""
        folder = self.out / name
        # Beside the weights, since these are there before the curves of the training are.
        arguments = ["train", kind, *options, "--seed", str(seed), "--device", self.device]
        path = folder / f"{kind}.safetensors"
        self._run(path, [*arguments, "--out", str(folder)])
        return path

    def score(self, weights: Path, data_set: Path, *options: str, into: Path | None = None) -> None:
        """Scores on the test images of a data set, and for classifiers the pictures."""
        folder = into or weights.parent
        kind = weights.stem
        pictures = ["--out", str(folder / "pictures")] if kind == "classifier" else []
        arguments = ["evaluate", kind, str(weights), str(data_set), *options, *pictures]
        self._keep(folder / "scores.json", [*arguments, "--device", self.device, "--json"])

    def tune(self, name: str, options: Sequence[str]) -> None:
        """A grid of trainings in OUT/NAME, with one picture and one table."""
        arguments = ["tune", "classifier", *options, "--device", self.device]
        self._keep(self.out / name / "trials.json", [*arguments, "--out", str(self.out / name), "--json"])

    def _keep(self, path: Path, arguments: Sequence[str]) -> None:
        """Keep what a command prints."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        if _is_wanted(path, arguments):
            with unfinished.open("wb") as file:
                subprocess.run([_COMMAND, *arguments], check=True, stdout=file)
            unfinished.replace(path)

    def _run(self, result: Path, arguments: Sequence[str]) -> None:
        if _is_wanted(result, arguments):
            subprocess.run([_COMMAND, *arguments], check=True)


def _is_wanted(result: Path, arguments: Sequence[str]) -> bool:
    if result.exists():
        click.echo(f"{result} is there")
        return False
    click.echo(" ".join(["fumikura", *arguments]))
    return True


def simple(bench: Bench) -> None:
    """Kuzushiji-MNIST with the second report's network, and its two experiments."""
    images = bench.data / "kmnist" / "kmnist.npz"
    learn = ["--characters", str(images), *SIMPLE]
    bench.score(bench.train("classifier", "kmnist/simple-cnn", [*learn, "--epochs", "10"]), images)
    few = [*learn, "--epochs", "3"]
    bench.tune("kmnist/batch-sizes", [*few, "--batch-size", "8,16,32,64,128"])
    bench.tune("kmnist/learning-rates", [*few, "--learning-rate", "0.1,0.01,0.001,0.0001"])


def strong(bench: Bench) -> None:
    """Kuzushiji-MNIST with a residual network, three times, and with a transformer in the same time."""
    images = bench.data / "kmnist" / "kmnist.npz"
    for seed in SEEDS:
        bench.score(_resnet(bench, seed), images)
    vit = ["--characters", str(images), *STRONG, "--model", "vit", "--epochs", str(VIT_EPOCHS)]
    bench.score(bench.train("classifier", "kmnist/vit", vit), images)


def segmentation(bench: Bench) -> None:
    """The first report's four rows on patches, whole pages to compare, and the segmenter that ships."""
    pages = [str(bench.data / "pages"), "--test-book", TEST_BOOK]
    for book in ("100241706", TEST_BOOK):
        pages += ["--truth", str(bench.data / "boxes" / f"{book}_coordinate.csv")]
    patches = bench.prepare("patches", "patches", pages)
    whole = bench.prepare("pages", "pages", pages)
    seen = ["--steps", str(PATCH_STEPS), "--batch-size", str(PATCHES_A_STEP)]
    for model, weight in SEGMENTERS:
        learn = ["--patches", str(patches), "--model", model, "--pos-weight", str(weight), *seen]
        bench.score(bench.train("segmenter", f"patches/{model}-{weight}", learn), patches)
    seen = ["--steps", str(PAGE_STEPS), "--batch-size", str(PAGES_A_STEP), "--validation", "0"]
    for model in ("encoder-decoder", "unet"):
        learn = ["--patches", str(whole), "--model", model, "--pos-weight", "20", *seen]
        bench.score(bench.train("segmenter", f"pages/{model}-20", learn), whole)
    shipped = Path(__file__).parents[1] / "core" / "weights" / "segmenter.safetensors"
    bench.score(shipped, patches, into=bench.out / "patches" / "shipped")


def characters(bench: Bench) -> None:
    """The first report's classifier, on glyphs drawn from fonts: 50, 200 and 500 classes."""
    for n_classes in CLASSES:
        glyphs = _glyphs(bench, n_classes)
        learn = ["--characters", str(glyphs), "--model", "plain-cnn", "--epochs", "20", "--patience", "4"]
        learn += ["--schedule", "constant", "--weight-decay", "0", "--validation", "0.1"]
        bench.score(bench.train("classifier", f"glyphs/plain-cnn-{n_classes}", learn), glyphs)


def transfer(bench: Bench) -> None:
    """Crops of pages, learnt from nothing, after Kuzushiji-MNIST, and after drawn glyphs."""
    boxes = bench.data / "boxes"
    crops = [str(bench.data / "pages"), "--test-book", TEST_BOOK, "--min-images", "20", "--grey"]
    for book in ("100241706", TEST_BOOK):
        crops += ["--truth", str(boxes / f"{book}_coordinate.csv")]
    crops += ["--partial-truth", str(boxes / "kana_only_coordinate.csv")]
    real = bench.prepare("characters", "crops", crops)
    learn = [*STRONG, "--model", "resnet", "--crop-side", "28"]
    glyphs = ["--characters", str(_glyphs(bench, 500)), *learn, "--epochs", "4"]
    starts = {
        "nothing": [],
        "kmnist": ["--start", str(_resnet(bench, SEEDS[0]))],
        "glyphs": ["--start", str(bench.train("classifier", "transfer/start-glyphs", glyphs))],
    }
    for name, start in starts.items():
        for seed in SEEDS:
            options = ["--characters", str(real), *learn, "--steps", "600", "--validation", "0", *start]
            bench.score(bench.train("classifier", f"transfer/{name}-{seed}", options, seed=seed), real)


def _resnet(bench: Bench, seed: int) -> Path:
    """The residual network on Kuzushiji-MNIST."""
    images = str(bench.data / "kmnist" / "kmnist.npz")
    learn = ["--characters", images, *STRONG, "--model", "resnet", "--epochs", str(RESNET_EPOCHS)]
    return bench.train("classifier", f"kmnist/resnet-{seed}", learn, seed=seed)


def _glyphs(bench: Bench, n_classes: int) -> Path:
    options = ["--transcripts", str(bench.data / "transcripts.txt"), "--labels", str(n_classes)]
    folders = [font for font in FONTS if not Path(font).suffix]  # each font once
    for fonts in (*folders, str(bench.data / "fonts")):
        options += ["--fonts", fonts]
    return bench.prepare("glyphs", f"glyphs-{n_classes}", options)


GROUPS: dict[str, Callable[[Bench], None]] = {
    group.__name__: group for group in (simple, strong, segmentation, characters, transfer)
}


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--only", type=click.Choice(list(GROUPS)), multiple=True, help="Only this group. Repeatable.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
def main(data: Path, out: Path, only: Sequence[str], device: str) -> None:
    """Run every experiment."""
    for name in only or GROUPS:
        GROUPS[name](Bench(data, out, device))


if __name__ == "__main__":
    main()
