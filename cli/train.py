"""fumikura train: make weights from pages with truth, and from texts."""

from __future__ import annotations

from pathlib import Path

import click

from fumikura.cli.help_text import Group
from fumikura.cli.left_out_books import LeftOut
from fumikura.cli.output import counted, put, say
from fumikura.cli.train_classifier import classifier
from fumikura.cli.train_segmenter import segmenter
from fumikura.cli.training_options import given


@click.group(cls=Group)
def command() -> None:
    """Train the networks on pages with truth, or on prepared data sets.

    Needs `pip install 'fumikura[training]'`. A training that was cut off goes on when the same
    command is given again. The scores of a book mean something only if the book was in no part
    of its training: name such books with --without-book.
    """


@command.command()
@click.argument("transcripts", nargs=-1, required=True, type=given, metavar="TRANSCRIPTS...")
@click.option(
    "--corpus",
    "corpora",
    type=given,
    multiple=True,
    metavar="PATH",
    help="Other texts (.txt, or a folder of it), counted by themselves: how much they matter is fitted to"
    " each page. Repeatable.",
)
@click.option("--without-book", multiple=True, metavar="NAME", help="Keep a book out of it all. Repeatable.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="Where the weights go.",
)
def context(
    transcripts: tuple[Path, ...], corpora: tuple[Path, ...], without_book: tuple[str, ...], out: Path
) -> None:
    """Count which characters follow each other, from texts.

    TRANSCRIPTS are texts with '# PAGE' before each page, files named PAGE.txt, or folders of both.

    \b
    Example:
      fumikura train context transcripts.txt texts/ --without-book 200010454 \\
          --corpus corpora/waka --corpus corpora/cookery --out context.safetensors
    """
    from fumikura.core.recognition.models.checkpoint import save_context
    from fumikura.core.training.context_counts import book_of, count_context, read_corpus, read_page_texts

    without = LeftOut(without_book)
    texts = read_page_texts(transcripts, without_books=without)
    others = [read_corpus(path, without_books=without) for path in corpora]
    without.say_unknown()
    context = count_context(texts, others)
    save_context(out, context)
    n_books = len({book_of(page) for page in texts})
    found = f"{counted(len(texts), 'page')} of {counted(n_books, 'book')}"
    n_threes = sum(len(one.counts) for one in context.corpora)
    say(f"{found}; {counted(len(context.characters), 'character')}; {n_threes:,} different threes")
    if corpora:
        shares = ", ".join(f"{share:.3f}" for share in context.shares)
        say(f"shares in an unknown book, of the texts and of each corpus that has 0.02 at least: {shares}")
    put(out)


command.add_command(segmenter)
command.add_command(classifier)
