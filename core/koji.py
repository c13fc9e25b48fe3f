"""This module reads and writes Koji, the notation of みんなで翻刻 (honkoku.org) for old texts.

After https://wiki.honkoku.org/doku.php?id=howto_markup: a line a column; readings beside a character as
未（いまだ） or 《振り仮名：未｜いまだ｜ズ》, notes in two halves as 《割書：右｜左》, 《見せ消ち：旧｜新》,
《圏点：語｜﹅》, 《題：…》 and others; ＿レ and ￣ム are marks for reading Chinese, 【…】 is what the
transcriber remarks, □ and ■ what is lost or cannot be read, ％表紙 begins a block.
"""

from __future__ import annotations

import re

#: An element without another one in it: its name, and what it holds.
_ELEMENT = re.compile(r"《([^《》：:｜|]*)[：:]([^《》]*)》")
#: What stands beside the line, or is not on the page at all.
_BESIDE = re.compile(
    r"【[^【】]*】"  # remarks of the transcriber
    r"|（[^（）\n]*）"  # readings, right and left
    r"|［[^［］\n]*］|｛＿[^｛｝\n]*｝"  # small kana and reading marks, as they were written earlier
    r"|＿[一二三四上中下甲乙丙丁天地人レ]+"  # marks of the order of reading
    r"|￣[゠-ヿㇰ-ㇿ]*"  # small kana
    r"|[＃#][０-９0-9]+"  # footnotes
    r"|※[^\n]*"
)
#: What parts a reading's base from what is before, joins characters, or takes the place of a lost one.
_SIGNS = str.maketrans("", "", "／/‐-■□〓｛｝＜＞〔〕《》")


#: What only a text in this notation holds.
_SIGN = re.compile(r"《[^《》\n]+[：:]|[＿￣]\S|[㐀-鿿豈-﫿々]（[^（）\n]+）|【[^【】]*】|^％", re.MULTILINE)


def is_koji(text: str) -> bool:
    """Tell whether a text holds marks of the notation; without any, it is the plain text itself."""
    return _SIGN.search(text) is not None


def plain_text(koji: str) -> str:
    """Give the main text: what stands in the columns, notes in two halves included, a line a column.

    Of a struck-out text what was struck out, for that stands in the column.
    """
    lines = [line for line in koji.splitlines() if not line.startswith("％")]
    text = "\n".join(lines)
    while _ELEMENT.search(text):
        text = _ELEMENT.sub(_main_part, text)
    before = None
    while text != before:  # remarks may hold readings
        before, text = text, _BESIDE.sub("", text)
    return text.translate(_SIGNS)


def _main_part(element: re.Match[str]) -> str:
    name, parts = element[1], re.split("[｜|]", element[2])
    if name == "割書":
        return "".join(parts)
    return "" if name in ("注記", "脚注") else parts[0]


def reading(base: str, furigana: str) -> str:
    """Write a character with the furigana beside it."""
    return f"《振り仮名：{base}｜{furigana}》"


def remark(kind: str, text: str) -> str:
    """Write what is no part of the main text."""
    return f"【{kind}：{text}】"


def note(right: str, left: str) -> str:
    """Write a note in two halves."""
    return f"《割書：{right}｜{left}》"
