"""A machine says what it computes with."""

from __future__ import annotations

import pytest

from fumikura.core.host import processor_in

FIRST = "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) Processor\nflags\t\t: fpu avx2 {}\n\n"
XEON = f"{FIRST}processor\t: 1\nflags\t\t:\n"


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ("", "AVX2"),
        ("avx512_vnni", "AVX512-VNNI"),
        ("avx512_vnni avx512_bf16", "AVX512-BF16"),
        ("avx512_vnni avx512_bf16 amx_bf16 amx_tile", "AMX, AVX512-BF16"),
    ],
)
def test_a_processor_is_named_with_the_best_that_it_has(flags: str, named: str) -> None:
    assert processor_in(XEON.format(flags)) == f"Intel(R) Xeon(R) Processor, {named}"


def test_a_processor_without_a_name_is_told_by_its_kind() -> None:
    assert processor_in("processor\t: 0\nFeatures\t: fp asimd bf16\n") != ""
