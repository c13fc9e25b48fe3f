"""fumikura evaluate segmenter and classifier: score weights on the test images of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fumikura.cli import options
from fumikura.cli.optional_packages import need_training
from fumikura.cli.options import FiniteRange
from fumikura.cli.output import make_table, print_json, print_tables, say
from fumikura.core.settings import Settings

if TYPE_CHECKING:
    from fumikura.core.training.classifier_evaluation import Confusion


_weights_and_data_set = options.with_options(
    [
        click.argument("weights", type=click.Path(path_type=Path), metavar="WEIGHTS"),
        click.argument("data_set", type=click.Path(path_type=Path), metavar="DATASET"),
        options.settings("device"),
        options.as_json,
    ]
)


@click.command()
@click.option(
    "--threshold",
    type=FiniteRange(0, 1),
    default=0.5,
    metavar="X",
    help="A pixel is ink above this probability.",
)
@_weights_and_data_set
def segmenter(settings: Settings, weights: Path, data_set: Path, threshold: float, as_json: bool) -> None:
    """Score a segmenter on the test patches or pages of a data set.

    DATASET is what `fumikura prepare patches` or `prepare pages` wrote. Pixels of all patches are
    counted together.

    \b
    Example:
      fumikura evaluate segmenter runs/unet/segmenter.safetensors data/patches
    """
    from fumikura.core.recognition.models.checkpoint import load_any_segmenter
    from fumikura.core.training.datasets.loading import load_patch_set
    from fumikura.core.training.segmenter_evaluation import score_patches

    loaded = load_any_segmenter(weights)
    patches = load_patch_set(data_set, "test")
    scores = score_patches(loaded, patches, device=options.first_device(settings), threshold=threshold)
    found = {"patches": len(patches.images), "threshold": threshold, **scores}
    (print_json if as_json else _print_figures)(found)


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Draw confusion matrix, confused pairs, samples and reliability into it.",
)
@click.option(
    "--known-labels", is_flag=True, help="Leave out test images whose label the weights do not know."
)
@options.limit(12, "At most so many confusions, the most frequent first.")
@options.inverted
@_weights_and_data_set
def classifier(
    settings: Settings,
    weights: Path,
    data_set: Path,
    out: Path | None,
    known_labels: bool,
    limit: int,
    is_inverted: bool,
    as_json: bool,
) -> None:
    """Score a classifier on the test images of a data set.

    DATASET is what `fumikura prepare characters` wrote, or a published one: Kuzushiji-MNIST,
    Kuzushiji-49, Kuzushiji-Kanji. What the figures mean stands in docs/evaluation.md.

    \b
    Example:
      fumikura evaluate classifier classifier.safetensors kmnist.npz \\
          --out pictures/
    """
    need_training("sklearn", "scipy")
    from fumikura.core.marked_pictures import is_our_picture
    from fumikura.core.own_files import check_place
    from fumikura.core.recognition.models.checkpoint import load_any_classifier
    from fumikura.core.training.classifier_evaluation import (
        ask_classifier,
        confusions,
        draw_pictures,
        label_figures,
        picture_paths,
    )
    from fumikura.core.training.datasets.loading import load_character_set

    loaded = load_any_classifier(weights)
    test = load_character_set(data_set, "test")
    if out is not None:
        for path in picture_paths(out):  # now, since after all the reading it is too late
            check_place(path, is_our_picture)
        out.mkdir(parents=True, exist_ok=True)
    device = options.first_device(settings)
    answers = ask_classifier(
        loaded, test, device=device, leave_out_unknown=known_labels, is_inverted=is_inverted
    )
    found, confused = label_figures(answers), confusions(answers, limit=limit)
    if as_json:
        print_json({**found, "confusions": confused})
    else:
        _print_scores(found, confused)
    if out is not None:
        for path in draw_pictures(answers, out, limit=limit):
            say(f"picture: {path}")


def _print_scores(found: dict[str, Any], confused: list[Confusion]) -> None:
    _print_figures({name: value for name, value in found.items() if name != "calibration"})
    bins = [
        (f"{one['low']:.1f} to {one['high']:.1f}", one["characters"], one["confidence"], one["accuracy"])
        for one in found["calibration"]
    ]
    rows = [(one.label, one.read_as, one.n_misread, one.n_images) for one in confused]
    print_tables(
        make_table("sure", "images", "mean", "right", rows=bins, numbers=range(1, 4), title="By confidence"),
        make_table(
            "label", "read as", "times", "of", rows=rows, numbers=[2, 3], title="Most frequent confusions"
        ),
    )


def _print_figures(found: dict[str, Any]) -> None:
    rows = [(name.replace("_", " "), value) for name, value in found.items()]
    print_tables(make_table("figure", "value", rows=rows, numbers=[1], header=False))
