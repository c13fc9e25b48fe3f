"""This module writes numbers with their nouns."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Write a number and its noun: 1 page, 2 pages, 1,000 pages."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
