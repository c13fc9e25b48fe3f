"""fumikura predict: name images of single characters."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fumikura.cli import options
from fumikura.cli.language import translated
from fumikura.cli.output import as_text, console_for, make_table, print_json, print_tables, printable, say
from fumikura.core.settings import Settings

if TYPE_CHECKING:
    from fumikura.core.recognition.single_characters import NamedImage


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@options.inverted
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=5,
    metavar="N",
    help="How many labels of each image.",
)
@options.settings("classifier", "device")
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    settings: Settings,
    images: tuple[str, ...],
    is_inverted: bool,
    top: int,
    as_json: bool,
) -> None:
    """Name images of single characters.

    IMAGE is a file, a folder, a pattern or a zip of images (JPEG, PNG, TIFF, WebP, BMP, GIF), of any
    size and in colour or grey. A square image is read as it is; any other is taken for a character cut out
    closely, and read with a margin.

    \b
    Example:
      fumikura predict crops/ --top 3
      fumikura predict 'test/*.png' --classifier classifier.safetensors --json

    Exit code: 0 all done, 3 some images could not be read.
    """
    from rich.progress import track

    from fumikura.core.archives.listing import list_pages
    from fumikura.core.recognition.models.checkpoint import load_any_classifier
    from fumikura.core.recognition.recipe import find_weights
    from fumikura.core.recognition.single_characters import name_images

    references = list_pages(images, limits=settings.limits).pages
    device = options.first_device(settings)
    classifier = load_any_classifier(find_weights("classifier", settings.classifier_path))
    named = name_images(
        classifier, references, settings=settings, device=device, n_labels=top, is_inverted=is_inverted
    )
    console = console_for(sys.stderr)
    found = []
    for one in track(
        named, description=translated("naming"), total=len(references), console=console, transient=True
    ):
        found.append(one)
        if as_json:
            print_json(_as_object(one))
    failed = [one for one in found if one.error is not None]
    if not as_json:
        _print_table([one for one in found if one.error is None])
    for one in failed:
        say(f"{_name(one)} was left out: {one.error}")
    ctx.exit(3 if failed else 0)


def _as_object(named: NamedImage) -> dict[str, object]:
    if named.error is not None:
        return {"image": _name(named), "error": named.error}
    labels = [{"label": label, "confidence": confidence} for label, confidence in named.labels]
    return {"image": _name(named), "labels": labels}


def _print_table(found: list[NamedImage]) -> None:
    rows = [
        [_name(one), *one.labels[0], "  ".join(f"{label} {as_text(sure)}" for label, sure in one.labels[1:])]
        for one in found
    ]
    if rows:
        print_tables(make_table("image", "label", "confidence", "next best", rows=rows, numbers=[2]))


def _name(named: NamedImage) -> str:
    path = Path(named.reference.archive, named.reference.member)
    return printable(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))
